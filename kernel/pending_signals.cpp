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

void signal_entries_balance() { entry_pool.balance(SignalEntryPool::kMost); }
void signal_entries_trim() { entry_pool.balance(SignalEntryPool::kLeast); }

QueuedSignal* PendingSignals::allocate() {
  if (spare_.in_use) return entry_pool.take();
  spare_.in_use = true;
  return &spare_;
}

void PendingSignals::give_back(QueuedSignal* entry) {
  if (entry->is_inline)
    entry->in_use = false;
  else
    entry_pool.give(*entry);
}

Result<void> PendingSignals::add(const SignalInfo& info) {
  auto signal = static_cast<Signal>(info.number);
  SignalSet bit = signal_bit(signal);
  bool is_real_time = signal >= Signal::kFirstRealTime;
  if (!is_real_time && (set_ & bit)) return {};
  QueuedSignal* entry = allocate();
  if (!entry && is_real_time && info.code < 0) return Errno::kAGAIN;
  set_ |= bit;
  if (!entry) return {};
  entry->info = info;
  queue_.push_back(*entry);
  return {};
}

bool PendingSignals::take(SignalSet wanted, SignalInfo& info) {
  constexpr SignalSet kSynchronous = signal_bit(Signal::kSegmentation) | signal_bit(Signal::kBus) | signal_bit(Signal::kIllegal) |
                                     signal_bit(Signal::kTrap) | signal_bit(Signal::kFloat) | signal_bit(Signal::kSystem);
  SignalSet candidates = set_ & wanted;
  if (candidates == 0) return false;
  if (candidates & kSynchronous) candidates &= kSynchronous;
  int32_t number = __builtin_ctzll(candidates) + 1;
  QueuedSignal* found = nullptr;
  bool more = false;
  for (QueuedSignal& entry : queue_) {
    if (entry.info.number != number) continue;
    more = found != nullptr;
    if (more) break;
    found = &entry;
  }
  if (!more) set_ &= ~signal_bit(static_cast<Signal>(number));
  info = SignalInfo{};
  info.number = number;
  info.code = kCodeKernel;
  if (found) {
    info = found->info;
    queue_.remove(*found);
    give_back(found);
  }
  return true;
}

void PendingSignals::discard(SignalSet which) {
  if ((set_ & which) == 0) return;
  set_ &= ~which;
  for (QueuedSignal& entry : queue_)
    if (which & signal_bit(static_cast<Signal>(entry.info.number))) {
      queue_.remove(entry);
      give_back(&entry);
    }
}

}  // namespace faultline
