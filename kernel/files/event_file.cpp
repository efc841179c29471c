// eventfd(2).
#include "kernel/files/event_file.h"

#include "fs/anonymous.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint64_t kMaximum = ~0ull - 1;

class EventFile final : public File {
 public:
  EventFile(Ref<Inode> inode, uint32_t flags, uint64_t initial, EventCounting counting)
      : File(std::move(inode), flags), counting_(counting), count_(initial) {}
  ~EventFile() override = default;

  Result<size_t> read(IoBuffer& buffer) override {
    if (buffer.remaining() < sizeof(uint64_t)) return Errno::kINVAL;
    uint64_t taken = 0;
    auto take = [&] {
      LockGuard guard(lock_);
      if (count_ == 0) return false;
      taken = counting_ == EventCounting::kOneByOne ? 1 : count_;
      count_ -= taken;
      return true;
    };
    if (!take()) {
      if (may_not_wait(buffer)) return Errno::kAGAIN;
      TRY(wait_restartable(changed_, take));
    }
    changed_.wake(kPollOut);
    TRY(buffer.put_all(&taken, sizeof taken));
    return sizeof taken;
  }

  Result<size_t> write(IoBuffer& buffer) override {
    uint64_t added;
    if (buffer.remaining() < sizeof added) return Errno::kINVAL;
    TRY(buffer.take_all(&added, sizeof added));
    if (added == ~0ull) return Errno::kINVAL;
    auto add = [&] {
      LockGuard guard(lock_);
      if (kMaximum - count_ < added) return false;
      count_ += added;
      return true;
    };
    if (!add()) {
      if (may_not_wait(buffer)) return Errno::kAGAIN;
      TRY(wait_restartable(changed_, add));
    }
    changed_.wake(kPollIn);
    return sizeof added;
  }

  uint32_t poll(PollTable* table) override {
    if (table) table->register_queue(changed_);
    LockGuard guard(lock_);
    return (count_ != 0 ? kPollIn : 0) | (count_ < kMaximum ? kPollOut : 0);
  }
  bool counts_events() const override { return true; }
  Result<size_t> read_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<void> synchronize(bool) override { return Errno::kINVAL; }
  void describe(FormatSink& sink) const override { sink.put("anon_inode:[eventfd]"); }

 private:
  void last_reference_gone() override { slab_delete(this); }
  const EventCounting counting_;
  SpinLock<LockRank::kDescriptors> lock_;
  uint64_t count_ GUARDED_BY(lock_);
  WaitQueue changed_;
};

}  // namespace

Result<Ref<File>> event_file_create(uint32_t initial, EventCounting counting, uint32_t flags, const Credentials& who) {
  Ref<Inode> inode = TRY(anonymous_inode_create(FileType::kSocket, 0600, who));  // a type that cannot be opened through /proc
  return Ref<File>::adopt(TRY(slab_new<EventFile>(std::move(inode), kOpenReadWrite | flags, initial, counting)));
}

}  // namespace faultline
