// signalfd(2): the reader's own signals, taken like from any file. Who asks, and not who made the file, is whose signals are looked at; so the queue
// that is waited on is the asker's process' (signal_news).
#include "fs/anonymous.h"
#include "kernel/files/calls.h"
#include "kernel/files/support.h"
#include "mm/slab.h"

namespace faultline {

namespace {

// linux/signalfd.h
struct SignalRecord {
  uint32_t number;
  int32_t error, code;
  uint32_t pid, uid;
  int32_t descriptor;
  uint32_t timer, band, overrun, trap;
  int32_t status, value;
  uint64_t value_pointer, user_time, kernel_time, address;
  uint16_t address_bits, padding;
  int32_t system_call;
  uint64_t call_address;
  uint32_t architecture;
  uint8_t reserved[28];
};
static_assert(sizeof(SignalRecord) == 128 && offsetof(SignalRecord, value_pointer) == 48 && offsetof(SignalRecord, architecture) == 96);

constexpr SignalSet kFaults = signal_bit(Signal::kIllegal) | signal_bit(Signal::kFloat) | signal_bit(Signal::kSegmentation) |
                              signal_bit(Signal::kBus) | signal_bit(Signal::kTrap);

// What the fields of a SignalInfo mean depends on who sent it (sigaction(2)).
SignalRecord record_of(const SignalInfo& info) {
  auto signal = static_cast<Signal>(info.number);
  SignalRecord record{};
  record.number = static_cast<uint32_t>(info.number);
  record.error = info.error;
  record.code = info.code;
  bool is_by_kernel = info.code > kCodeUser && info.code < kCodeKernel;
  if (is_by_kernel && contains(kFaults, signal)) {
    record.address = info.fields[0];
    return record;
  }
  if (info.code == kCodeTimer) {
    record.timer = info.fields[0];
    record.overrun = info.fields[1];
  } else {
    record.pid = info.fields[0];
    record.uid = info.fields[1];
  }
  if (is_by_kernel && signal == Signal::kChild) {
    record.status = static_cast<int32_t>(info.fields[2]);
    record.user_time = info.fields[3];
    record.kernel_time = info.fields[4];
  } else if (info.code < 0 && info.code != kCodeThreadKill) {
    record.value = static_cast<int32_t>(info.fields[2]);
    record.value_pointer = info.fields[2];
  }
  return record;
}

}  // namespace

class SignalFile final : public File {
 public:
  SignalFile(Ref<Inode> inode, uint32_t flags, SignalSet wanted) : File(std::move(inode), kOpenReadWrite | flags), wanted_(wanted) {}
  ~SignalFile() override = default;

  SignalFile* signal_file() override { return this; }
  void set_wanted(SignalSet wanted) {
    {
      LockGuard guard(lock_);
      wanted_ = wanted;
    }
    signal_news(current_process()).wake_all(kPollIn);
  }

  // As many as there are and fit; sleeps for the first only.
  Result<size_t> read(IoBuffer& buffer) override {
    if (buffer.remaining() < sizeof(SignalRecord)) return Errno::kINVAL;
    SignalInfo info{};
    auto take = [&] { return signal_take(wanted(), info); };
    size_t moved = 0;
    while (buffer.remaining() >= sizeof(SignalRecord)) {
      if (!take()) {
        if (moved != 0) break;
        if (may_not_wait(buffer)) return Errno::kAGAIN;
        TRY(wait_restartable(signal_news(current_process()), take));
      }
      SignalRecord record = record_of(info);
      Result<void> put = buffer.put_all(&record, sizeof record);
      if (!put.ok() && moved == 0) return put.error();
      if (!put.ok()) break;
      moved += sizeof record;
    }
    return moved;
  }

  uint32_t poll(PollTable* table) override {
    if (table) table->register_queue(signal_news(current_process()));
    return signals_waiting_for_caller() & wanted() ? kPollIn : 0;
  }
  Result<size_t> read_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write(IoBuffer&) override { return Errno::kINVAL; }
  Result<void> synchronize(bool) override { return Errno::kINVAL; }
  void describe(FormatSink& sink) const override { sink.put("anon_inode:[signalfd]"); }
  void describe_state(FormatSink& sink) override { format(sink, "sigmask:\t{016x}\n", wanted()); }

 private:
  void last_reference_gone() override { slab_delete(this); }
  SignalSet wanted() {
    LockGuard guard(lock_);
    return wanted_;
  }

  SpinLock<LockRank::kDescriptors> lock_;
  SignalSet wanted_ GUARDED_BY(lock_);
};

Result<uint32_t> sys_signalfd4(int32_t descriptor, UserPtr<SignalSet> mask, uint32_t bytes, uint32_t flags) {
  if (bytes != sizeof(SignalSet)) return Errno::kINVAL;
  SignalSet wanted = TRY(user_read(mask)) & ~kUnblockable;
  if (flags & ~(kOpenCloseOnExec | kOpenNonBlocking)) return Errno::kINVAL;
  if (descriptor != -1) {
    FileHandle file = TRY(descriptor_file(descriptor));
    SignalFile* signals = file->signal_file();
    if (!signals) return Errno::kINVAL;
    signals->set_wanted(wanted);
    return static_cast<uint32_t>(descriptor);
  }
  Ref<Inode> inode = TRY(anonymous_inode_create(FileType::kSocket, 0600, caller_credentials()));  // cannot be opened through /proc
  Ref<File> file = Ref<File>::adopt(TRY(slab_new<SignalFile>(std::move(inode), flags & kOpenNonBlocking, wanted)));
  return current_process().descriptors().add(std::move(file), close_on_exec_of(flags), descriptor_limit());
}

Result<uint32_t> sys_signalfd(int32_t descriptor, UserPtr<SignalSet> mask, uint32_t bytes) {
  return sys_signalfd4(descriptor, mask, bytes, 0);
}

}  // namespace faultline
