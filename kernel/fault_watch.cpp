// See fault_watch.h. A thread points at its watch. The pointer is followed with interrupts off only, and a watch that ends takes it out of
// all threads and then waits for every CPU to take an interrupt, so nobody follows it into freed memory.
#include "kernel/fault_watch.h"

#include "arch/clock.h"
#include "arch/interrupt.h"
#include "kernel/signal_internal.h"
#include "kernel/trace_ring.h"
#include "mm/slab.h"

namespace faultline {

class FaultWatch final : public File {
 public:
  FaultWatch(Ref<Inode> inode, uint32_t flags, WatchKind kind) : File(std::move(inode), flags), kind_(kind) {}
  ~FaultWatch() override = default;

  Result<void> start(Process& process);

  // As many whole records as fit, at least one; 0 when all that was watched has ended.
  Result<size_t> read(IoBuffer& buffer) override;
  uint32_t poll(PollTable* table) override;
  Result<size_t> read_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }

  // Interrupts off.
  void put(FaultRecord& record) {
    record.number = count_.fetch_add(1, memory_order_relaxed) + 1;
    record.time = clock_monotonic();
    record.cpu = static_cast<uint8_t>(this_cpu());
    record.watch = reader_.number();
    trace_put(record);
    changed_.wake_all(kPollIn | kPollReadNormal);
  }
  WatchKind kind() const { return kind_; }
  // Records that are there for the reader, or are lost already.
  uint32_t backlog() const { return count_.load(memory_order_relaxed) - taken_.load(memory_order_relaxed); }
  void join_locked() REQUIRES(process_table_lock) { threads_++; }
  void leave_locked() REQUIRES(process_table_lock) {
    if (--threads_ == 0) changed_.wake_all(kPollHangUp);
  }

 private:
  void last_reference_gone() override;
  bool has_record() {
    LockGuard guard(lock_);
    return reader_.has_next();
  }
  bool is_over() {
    InterruptLockGuard guard(process_table_lock);
    return threads_ == 0;
  }

  SpinLock<LockRank::kDescriptors> lock_;  // the reader's place
  TraceReader reader_;
  WaitQueue changed_;
  uint32_t threads_ GUARDED_BY(process_table_lock) = 0;
  Atomic<uint32_t> count_{0};  // records
  Atomic<uint32_t> taken_{0};  // the last one that was read
  const WatchKind kind_;
};

Result<void> FaultWatch::start(Process& process) {
  TRY(reader_.open());
  InterruptLockGuard guard(process_table_lock);
  if (process.thread_count_ == 0) return Errno::kSRCH;
  for (Thread& thread : process.threads_)
    if (thread.fault_watch.load(memory_order_relaxed)) return Errno::kBUSY;
  for (Thread& thread : process.threads_) {
    thread.fault_watch.store(this, memory_order_release);
    join_locked();
  }
  return {};
}

void FaultWatch::last_reference_gone() {
  {
    InterruptLockGuard guard(process_table_lock);
    auto forget = [](Process& process, void* watch) {
      for (Thread& thread : process.threads_)
        if (thread.fault_watch.load(memory_order_relaxed) == watch) thread.fault_watch.store(nullptr, memory_order_release);
      return true;
    };
    if (threads_ != 0)
      for (Process& process : all_processes()) forget(process, this);
  }
  cpu_call_others([](void*) {}, nullptr);
  slab_delete(this);
}

Result<size_t> FaultWatch::read(IoBuffer& buffer) {
  if (buffer.remaining() < sizeof(FaultRecord)) return Errno::kINVAL;
  // Asked before the records: what ended has put its last one in.
  bool over = is_over();
  if (!has_record()) {
    if (over) return size_t{0};
    if (may_not_wait(buffer)) return Errno::kAGAIN;
    TRY(wait_restartable(changed_, [&] { return (over = is_over()) || has_record(); }));
  }
  size_t moved = 0;
  while (buffer.remaining() >= sizeof(FaultRecord)) {
    FaultRecord record;
    {
      LockGuard guard(lock_);
      if (!reader_.next(record)) break;
      taken_.store(static_cast<uint32_t>(record.number), memory_order_relaxed);
    }
    Result<void> put = buffer.put_all(&record, sizeof record);
    if (!put.ok() && moved == 0) return put.error();
    if (!put.ok()) break;
    moved += sizeof record;
  }
  return moved;
}

uint32_t FaultWatch::poll(PollTable* table) {
  if (table) table->register_queue(changed_);
  bool over = is_over();
  return (has_record() ? kPollIn | kPollReadNormal : 0) | (over ? kPollHangUp : 0);
}

Result<Ref<File>> fault_watch_open(Ref<Inode> inode, Process& process, uint32_t flags, WatchKind kind) {
  Ref<FaultWatch> watch = Ref<FaultWatch>::adopt(TRY(slab_new<FaultWatch>(std::move(inode), flags, kind)));
  TRY(watch->start(process));
  return Ref<File>(std::move(watch));
}

void fault_watch_inherit_locked(const Thread& maker, Thread& made) {
  FaultWatch* watch = maker.fault_watch.load(memory_order_relaxed);
  if (watch && watch->kind() == WatchKind::kReferences && &made.process() != &maker.process()) watch = nullptr;
  if (watch) watch->join_locked();
  made.fault_watch.store(watch, memory_order_release);
}

void fault_watch_leave_locked(Thread& thread) {
  if (FaultWatch* watch = thread.fault_watch.exchange(nullptr, memory_order_acq_rel)) watch->leave_locked();
}

namespace {

WatchKind watched_for() {
  InterruptGuard guard;
  FaultWatch* watch = running_thread().fault_watch.load(memory_order_acquire);
  return watch ? watch->kind() : WatchKind::kNothing;
}

// Until the reader of a trace has caught up: a ring holds twice as many records. The thread looks again and again because nothing that it could
// sleep on is sure to outlive the watch.
void wait_for_reader() {
  constexpr uint32_t kBacklog = 512;
  auto is_behind = [] {
    InterruptGuard guard;
    FaultWatch* watch = running_thread().fault_watch.load(memory_order_acquire);
    return watch && watch->backlog() > kBacklog;
  };
  while (is_behind() && !fatal_signal_is_pending()) yield();
}

void tell(FaultRecord& record) {
  Thread& self = running_thread();
  record.pid = self.process().pid();
  record.tid = self.id();
  InterruptGuard guard;
  if (FaultWatch* watch = self.fault_watch.load(memory_order_acquire)) watch->put(record);
}

void tell_trap(FaultRecord& record, const TrapFrame& frame) {
  record.mode = frame.from_user() ? FaultMode::kUser : FaultMode::kKernel;
  record.instruction = frame.eip;
  // These processors do not say that it was a fetch: it was if the address is the instruction's own, or where it goes on in the next page.
  constexpr uint32_t kLongestInstruction = 15;
  uint32_t distance = record.address - frame.eip;
  bool is_fetch = distance == 0 || (distance < kLongestInstruction && (record.address & kPageMask) == 0);
  if (is_fetch && frame.from_user() && record.access == FaultAccess::kRead) record.access = FaultAccess::kExecute;
  tell(record);
}

}  // namespace

FaultOutcome fault_handle_watched(const TrapFrame& frame, VirtAddr address, Access access) {
  AddressSpace& space = *running_thread().space;
  FaultStory story;
  FaultOutcome outcome = space.handle_fault_watched(address, access, story);
  const bool is_reference = watched_for() == WatchKind::kReferences;
  FaultRecord record = fault_record_of(address, access, story);
  if (!is_reference) fault_record_region(record, space);
  tell_trap(record, frame);
  if (!is_reference || outcome != FaultOutcome::kResolved) return outcome;
  references_seen(space, address, story);
  // (The kernel's copies hold locks that the reader may need. They find room for twice the backlog.)
  if (frame.from_user()) wait_for_reader();
  return outcome;
}

void fault_refused_watched(const TrapFrame& frame, VirtAddr address) {
  FaultRecord record{};
  record.kind = 1;
  record.bytes = sizeof record;
  record.decision = FaultDecision::kKernelHalf;
  record.address = address.value();
  record.access = frame.error & kFaultWrite ? FaultAccess::kWrite : FaultAccess::kRead;
  tell_trap(record, frame);
}

bool fault_is_watched() { return running_thread().fault_watch.load(memory_order_relaxed) != nullptr; }

void fault_seen_ahead(AddressSpace& space, VirtAddr address, Access access, const FaultStory& story) {
  FaultRecord record = fault_record_of(address, access, story);
  fault_record_region(record, space);
  record.mode = FaultMode::kAhead;
  tell(record);
  if (watched_for() == WatchKind::kReferences) references_seen(space, address, story);
}

}  // namespace faultline
