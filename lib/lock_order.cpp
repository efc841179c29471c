// The debug build's witness of locks: which spin locks each CPU holds, and which sleeping locks each thread. What could ever deadlock panics at its
// first occasion, long before the moment that two CPUs need for the deadlock itself. Beside the rules of here, which are known beforehand,
// lib/lock_classes.h learns in which order classes are taken, sleeping ones included.
//
// Two rules. Order: a lock is taken only while all that this CPU holds, in the same context, have a lower rank; a try may do otherwise.
// Interrupts: handlers take InterruptSpinLocks only, since they may have interrupted a holder of any other; and nobody takes a
// SpinLock under an InterruptSpinLock, for the former's holder may be interrupted and its handler may want the latter.
#include "lib/lock.h"

#include <array>

#include "lib/lock_classes.h"

#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG

namespace faultline {

namespace {

constexpr uint32_t kCpus = 64, kDepth = 16;

struct Held {
  const void* lock;
  LockRank rank;
  SpinKind kind;
  uint64_t since;  // cycles
  StackTrace taken;
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

[[noreturn]] void complain(const char* what, LockRank rank, const Held* other) {
  const PanicNote notes[] = {
      {"about", lock_rank_name(rank), nullptr},
      {other ? "while this is held:" : nullptr, other ? lock_rank_name(other->rank) : "", other ? &other->taken : nullptr}};
  panic_with_notes(__FILE__, __LINE__, what, notes, 2);
}

// The queue of an epoll instance is woken from the callback on a queue of what it watches, which may be an instance too. None is in itself, at any
// distance, so these locks are a tree. A ring of io_uring has two queues: its completions are told in the one, by threads only, and what comes from others'
// queues goes to the other, on which threads sleep.
bool may_nest(LockRank held, LockRank rank) { return held == rank && rank == LockRank::kWaitQueue; }

void check_order(const HeldLocks& own, const void* lock, LockRank rank, SpinKind kind, bool was_try) {
  for (uint32_t i = 0; i < own.count; i++) {
    const Held& held = own.held[i];
    if (held.lock == lock) complain("lock order: a lock taken twice", rank, &held);
    if (was_try || i < own.context_start) continue;
    if (held.rank >= rank && !may_nest(held.rank, rank))
      complain("lock order: a lock taken below or beside one that is held (lib/lock_rank.h)", rank, &held);
    if (kind == SpinKind::kPlain && held.kind == SpinKind::kInterrupt)
      complain("lock order: a SpinLock taken under an InterruptSpinLock", rank, &held);
  }
}

// What locks are taken in an interrupt, or with interrupts on, and after which others. A try waits for nobody.
void learn(const HeldLocks& own, LockRank rank, SpinKind kind, bool was_try) {
  if (was_try) return;
  // The other kind is always safe, and some ranks have locks of both.
  if (kind == SpinKind::kPlain) {
    lock_class_taken(rank, own.in_interrupt ? TakenIn::kInterrupt : TakenIn::kInterruptsOn);  // whose report says more
    if (own.in_interrupt) complain("lock order: a SpinLock taken in an interrupt", rank, nullptr);
  }
  for (uint32_t i = own.context_start; i < own.count; i++) lock_class_follows(own.held[i].rank, own.held[i].taken, rank);
  const SleepingLocks* sleeping = own.in_interrupt ? nullptr : current_sleeping_locks();
  for (uint32_t i = 0; sleeping && i < sleeping->count; i++) lock_class_follows(sleeping->held[i].rank, sleeping->held[i].taken, rank);
}

void note_if_long(const Held& held) {
  const uint64_t cycles = machine::cycles() - held.since;
  if (cycles < lock_hold_limit) return;
  LongHold hold{held.rank, cycles, held.taken, {}};
  stack_trace_here(hold.released);
  lock_long_hold_note(hold);
}

}  // namespace

void lock_order_acquired(const void* lock, LockRank rank, SpinKind kind, bool was_try) {
  InterruptsOff guard;
  HeldLocks& own = held_locks[machine::this_cpu()];
  check_order(own, lock, rank, kind, was_try);
  learn(own, rank, kind, was_try);
  ASSERT(own.count < kDepth);
  Held& held = own.held[own.count++];
  held = {lock, rank, kind, machine::cycles(), {}};
  stack_trace_here(held.taken);
}

void lock_order_released(const void* lock) {
  InterruptsOff guard;
  HeldLocks& own = held_locks[machine::this_cpu()];
  for (uint32_t i = own.count; i-- > 0;)
    if (own.held[i].lock == lock) {
      note_if_long(own.held[i]);
      for (uint32_t j = i; j + 1 < own.count; j++) own.held[j] = own.held[j + 1];
      own.count--;
      return;
    }
  PANIC("lock order: a lock released that this CPU does not hold");
}

void lock_order_assert_may_sleep() {
  InterruptsOff guard;
  const HeldLocks& own = held_locks[machine::this_cpu()];
  if (own.in_interrupt) PANIC("lock order: sleeping in an interrupt");
  if (own.count == 0) return;
  const Held& held = own.held[own.count - 1];
  const PanicNote note{"holding", lock_rank_name(held.rank), &held.taken};
  panic_with_notes(__FILE__, __LINE__, "lock order: sleeping with a spin lock held", &note, 1);
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

// It is here that a deadlock would be, so the order is looked at before the lock is waited for.
void sleeping_lock_wanted(const void* lock, LockRank rank, SleepingLocks::Mode mode) {
  SleepingLocks* own = current_sleeping_locks();
  if (!own) return;
  for (uint32_t i = 0; i < own->count; i++) lock_class_follows(own->held[i].rank, own->held[i].taken, rank);
  own->wanted = {lock, rank, mode, {}};
  stack_trace_here(own->wanted.taken);
}

void sleeping_lock_taken(const void* lock, LockRank rank, SleepingLocks::Mode mode, Taken how) {
  SleepingLocks* own = current_sleeping_locks();
  if (!own) return;
  for (uint32_t i = 0; how == Taken::kByWaiting && i < own->count; i++) lock_class_follows(own->held[i].rank, own->held[i].taken, rank);
  own->wanted = {};
  SleepingLocks::Held held{lock, rank, mode, {}};
  stack_trace_here(held.taken);
  own->add(held);
}

void sleeping_lock_released(const void* lock) {
  if (SleepingLocks* own = current_sleeping_locks()) own->remove(lock);
}

}  // namespace faultline

#endif
