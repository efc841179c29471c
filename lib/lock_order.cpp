// The debug build's witness of spin locks: what each CPU holds. Taking a lock whose rank is not above all that are held, other
// than by try, panics at the first occasion rather than at the first deadlock.
#include "lib/lock.h"

#include <array>

#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG

namespace faultline {

namespace {

constexpr uint32_t kCpus = 64, kDepth = 16;

struct Held {
  const void* lock;
  LockRank rank;
};
// Each CPU uses its own, with interrupts off; the holder of a spin lock stays on its CPU.
struct HeldLocks {
  std::array<Held, kDepth> held;
  uint32_t count;
};
constinit std::array<HeldLocks, kCpus> held_locks = {};

class InterruptsOff {
 public:
  InterruptsOff() : state_(machine::interrupts_save_and_disable()) {}
  ~InterruptsOff() { machine::interrupts_restore(state_); }

 private:
  uint32_t state_;
};

}  // namespace

void lock_order_acquired(const void* lock, LockRank rank, bool was_try) {
  InterruptsOff guard;
  HeldLocks& own = held_locks[machine::this_cpu()];
  for (uint32_t i = 0; i < own.count; i++) {
    if (own.held[i].lock == lock) PANIC("lock order: a lock taken twice");
    if (!was_try && own.held[i].rank >= rank) PANIC("lock order: a lock taken below or beside one that is held (lib/lock_rank.h)");
  }
  ASSERT(own.count < kDepth);
  own.held[own.count++] = {lock, rank};
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
  if (held_locks[machine::this_cpu()].count != 0) PANIC("lock order: sleeping with a spin lock held");
}

}  // namespace faultline

#endif
