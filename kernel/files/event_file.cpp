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
      : File(std::move(inode), flags), counting_(counting) {
    keeps_readiness(readiness_);
    set_count_locked(initial);
  }
  ~EventFile() override = default;

  Result<size_t> read(IoBuffer& buffer) override {
    if (buffer.remaining() < sizeof(uint64_t)) return Errno::kINVAL;
    uint64_t taken;
    while ((taken = take()) == 0) TRY(wait_for_a_count(buffer));
    changed_.wake(kPollOut);
    TRY(buffer.put_all(&taken, sizeof taken));
    return sizeof taken;
  }

  Result<size_t> write(IoBuffer& buffer) override {
    uint64_t added;
    if (buffer.remaining() < sizeof added) return Errno::kINVAL;
    TRY(buffer.take_all(&added, sizeof added));
    if (added == ~0ull) return Errno::kINVAL;
    if (!add(added)) TRY(wait_for_room(buffer, added));
    changed_.wake(kPollIn);
    return sizeof added;
  }

  uint32_t poll(PollTable* table) override {
    if (table) table->register_queue(changed_);
    return readiness_.events();
  }
  bool counts_events() const override { return true; }
  Result<size_t> read_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<void> synchronize(bool) override { return Errno::kINVAL; }
  void describe(FormatSink& sink) const override { sink.put("anon_inode:[eventfd]"); }

 private:
  void last_reference_gone() override { slab_delete(this); }
  // 0: there is nothing yet.
  uint64_t take() {
    if (!(readiness_.events() & kPollIn)) return 0;
    LockGuard guard(lock_);
    if (count_ == 0) return 0;
    uint64_t taken = counting_ == EventCounting::kOneByOne ? 1 : count_;
    set_count_locked(count_ - taken);
    return taken;
  }
  // False: it would be more than fits.
  bool add(uint64_t added) {
    LockGuard guard(lock_);
    if (kMaximum - count_ < added) return false;
    set_count_locked(count_ + added);
    return true;
  }
  // kAGAIN, kRESTARTSYS.
  [[gnu::noinline]] Result<void> wait_for_a_count(const IoBuffer& buffer) {
    if (may_not_wait(buffer)) return Errno::kAGAIN;
    return wait_restartable(changed_, [this] { return (readiness_.events() & kPollIn) != 0; });
  }
  [[gnu::noinline]] Result<void> wait_for_room(const IoBuffer& buffer, uint64_t added) {
    if (may_not_wait(buffer)) return Errno::kAGAIN;
    return wait_restartable(changed_, [this, added] { return add(added); });
  }
  void set_count_locked(uint64_t count) REQUIRES(lock_) {
    count_ = count;
    readiness_.become(kPollIn, count != 0);
    readiness_.become(kPollOut, count < kMaximum);
  }

  const EventCounting counting_;
  SpinLock<LockRank::kDescriptors> lock_;
  uint64_t count_ GUARDED_BY(lock_) = 0;
  Readiness readiness_;
  WaitQueue changed_;
};

}  // namespace

Result<Ref<File>> event_file_create(uint32_t initial, EventCounting counting, uint32_t flags, const Credentials& who) {
  Ref<Inode> inode = TRY(anonymous_inode_create(FileType::kSocket, 0600, who));  // a type that cannot be opened through /proc
  return Ref<File>::adopt(TRY(slab_new<EventFile>(std::move(inode), kOpenReadWrite | flags, initial, counting)));
}

}  // namespace faultline
