// Signals that wait to be taken: a set, and a queue with what is told about each. See signal.h.
#include "kernel/signal.h"
#include "kernel/signal_internal.h"
#include "mm/slab.h"

namespace faultline {

PendingSignals::~PendingSignals() { discard(~0ull); }

namespace {

// Entries for signals to come. They are taken and given back under signal locks, where the allocator must not be called: its locks
// may be held by code that an interrupt holds up which wants a signal lock itself.
class SignalEntryPool {
 public:
  static constexpr uint32_t kLeast = 32, kMost = 128;
  bool is_balanced(uint32_t most) const {
    uint32_t count = count_.load(memory_order_relaxed);
    return count >= kLeast && count <= most;
  }
  // Brings the pool to at least kLeast entries and at most `most`. Sleeps; nothing may be held.
  void balance(uint32_t most) {
    while (count_.load(memory_order_relaxed) < kLeast) {
      Result<QueuedSignal*> entry = slab_new<QueuedSignal>();
      if (!entry.ok()) return;
      give(*entry.value());
    }
    while (count_.load(memory_order_relaxed) > most)
      if (QueuedSignal* entry = take()) slab_delete(entry);
  }
  // Null when there is none. Any context, as give().
  QueuedSignal* take() {
    InterruptLockGuard guard(lock_);
    QueuedSignal* entry = free_;
    if (!entry) return nullptr;
    free_ = entry->next_free;
    count_.fetch_sub(1, memory_order_relaxed);
    return entry;
  }
  void give(QueuedSignal& entry) {
    InterruptLockGuard guard(lock_);
    entry.next_free = free_;
    free_ = &entry;
    count_.fetch_add(1, memory_order_relaxed);
  }

 private:
  InterruptSpinLock<LockRank::kLeaf> lock_;
  QueuedSignal* free_ GUARDED_BY(lock_) = nullptr;
  Atomic<uint32_t> count_{0};
};
constinit SignalEntryPool entry_pool;

}  // namespace

void signal_entries_balance() {
  if (!entry_pool.is_balanced(SignalEntryPool::kMost)) entry_pool.balance(SignalEntryPool::kMost);
}
void signal_entries_trim() { entry_pool.balance(SignalEntryPool::kLeast); }

QueuedSignal* PendingSignals::allocate() {
  if (spare_.in_use) return entry_pool.take();
  spare_.in_use = true;
  return &spare_;
}

void PendingSignals::give_back(QueuedSignal* entry) {
  entry->in_use = false;
  if (entry->home == QueuedSignal::Home::kPool) entry_pool.give(*entry);
}

void PendingSignals::add(RepeatedSignal& signal) {
  set_ |= signal_bit(static_cast<Signal>(signal.info.number));
  signal.in_use = true;
  signal.waits_in = this;
  queue_.push_back(signal);
}

void PendingSignals::remove(RepeatedSignal& signal) {
  queue_.remove(signal);
  give_back(&signal);
  for (const QueuedSignal& entry : queue_)
    if (entry.info.number == signal.info.number) return;
  set_ &= ~signal_bit(static_cast<Signal>(signal.info.number)) | without_entry_;
}

void RepeatedSignal::withdraw() {
  if (in_use) waits_in->remove(*this);
  times = 0;
}

Result<void> PendingSignals::add(const SignalInfo& info) {
  auto signal = static_cast<Signal>(info.number);
  bool is_real_time = signal >= Signal::kFirstRealTime;
  const bool is_merged = !is_real_time && contains(set_, signal);
  QueuedSignal* entry = is_merged ? nullptr : allocate();
  if (!entry && is_real_time && info.code < 0) return Errno::kAGAIN;
  set_ |= signal_bit(signal);
  if (!entry) {
    without_entry_ |= signal_bit(signal);
    return {};
  }
  copy_signal_info(entry->info, info);
  queue_.push_back(*entry);
  return {};
}

void PendingSignals::take(Signal signal, SignalInfo& info) {
  auto number = static_cast<int32_t>(signal);
  QueuedSignal* found = nullptr;
  bool more = false;
  for (QueuedSignal& entry : queue_) {
    if (entry.info.number != number) continue;
    more = found != nullptr;
    if (more) break;
    found = &entry;
  }
  if (!more) forget(signal_bit(signal));
  if (!found) {
    info = {number, 0, kCodeKernel, {0, 0, 0, 0, 0}};
    return;
  }
  if (found->home == QueuedSignal::Home::kSender) {
    auto& repeated = static_cast<RepeatedSignal&>(*found);
    uint64_t overrun = std::exchange(repeated.times, 0) - 1;
    repeated.last_overrun = overrun < INT32_MAX ? static_cast<uint32_t>(overrun) : INT32_MAX;
    repeated.info.fields[1] = repeated.last_overrun;
  }
  copy_signal_info(info, found->info);
  queue_.remove(*found);
  give_back(found);
}

void PendingSignals::discard(SignalSet which) {
  if ((set_ & which) == 0) return;
  forget(which);
  for (QueuedSignal& entry : queue_)
    if (which & signal_bit(static_cast<Signal>(entry.info.number))) {
      queue_.remove(entry);
      give_back(&entry);
    }
}

}  // namespace faultline
