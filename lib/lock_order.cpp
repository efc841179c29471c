// The debug build's witness of spin locks: what each CPU holds. What could ever deadlock panics at its first occasion, long before
// the moment that two CPUs need for the deadlock itself.
//
// Two rules. Order: a lock is taken only while all that this CPU holds, in the same context, have a lower rank; a try may do otherwise.
// Interrupts: handlers take InterruptSpinLocks only, since they may have interrupted a holder of any other; and nobody takes a
// SpinLock under an InterruptSpinLock, for the former's holder may be interrupted and its handler may want the latter.
#include "lib/lock.h"

#include <array>

#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG

namespace faultline {

namespace {

constexpr uint32_t kCpus = 64, kDepth = 16;

struct Held {
  const void* lock;
  LockRank rank;
  SpinKind kind;
};
// Each CPU uses its own, with interrupts off; the holder of a spin lock stays on its CPU.
struct HeldLocks {
  std::array<Held, kDepth> held;
  uint32_t count;
  uint32_t context_start;  // entries before it belong to the code that was interrupted
  bool in_interrupt;
};
constinit std::array<HeldLocks, kCpus> held_locks = {};

class InterruptsOff {
 public:
  InterruptsOff() : state_(machine::interrupts_save_and_disable()) {}
  ~InterruptsOff() { machine::interrupts_restore(state_); }

 private:
  uint32_t state_;
};

void check_order(const HeldLocks& own, const void* lock, LockRank rank, SpinKind kind, bool was_try) {
  for (uint32_t i = 0; i < own.count; i++) {
    if (own.held[i].lock == lock) PANIC("lock order: a lock taken twice");
    if (was_try || i < own.context_start) continue;
    if (own.held[i].rank >= rank) PANIC("lock order: a lock taken below or beside one that is held (lib/lock_rank.h)");
    if (kind == SpinKind::kPlain && own.held[i].kind == SpinKind::kInterrupt)
      PANIC("lock order: a SpinLock taken under an InterruptSpinLock");
  }
  if (own.in_interrupt && kind == SpinKind::kPlain && !was_try) PANIC("lock order: a SpinLock taken in an interrupt");
}

}  // namespace

void lock_order_acquired(const void* lock, LockRank rank, SpinKind kind, bool was_try) {
  InterruptsOff guard;
  HeldLocks& own = held_locks[machine::this_cpu()];
  check_order(own, lock, rank, kind, was_try);
  ASSERT(own.count < kDepth);
  own.held[own.count++] = {lock, rank, kind};
}

void lock_order_released(const void* lock) {
  InterruptsOff guard;
  HeldLocks& own = held_locks[machine::this_cpu()];
  for (uint32_t i = own.count; i-- > 0;)
    if (own.held[i].lock == lock) {
      for (uint32_t j = i; j + 1 < own.count; j++) own.held[j] = own.held[j + 1];
      own.count--;
      return;
    }
  PANIC("lock order: a lock released that this CPU does not hold");
}

void lock_order_assert_may_sleep() {
  InterruptsOff guard;
  const HeldLocks& own = held_locks[machine::this_cpu()];
  if (own.count != 0 || own.in_interrupt) PANIC("lock order: sleeping with a spin lock held, or in an interrupt");
}

// Handlers run with interrupts off, so they do not nest.
uint32_t lock_order_interrupt_begins() {
  HeldLocks& own = held_locks[machine::this_cpu()];
  ASSERT(!own.in_interrupt);
  own.in_interrupt = true;
  own.context_start = own.count;
  return own.count;
}

void lock_order_interrupt_ends(uint32_t before) {
  HeldLocks& own = held_locks[machine::this_cpu()];
  if (own.count != before) PANIC("lock order: an interrupt handler kept a lock");
  own.in_interrupt = false;
  own.context_start = 0;
}

}  // namespace faultline

#endif
