// Debug builds: which classes of locks are taken while which others are held, learnt as it happens. Locks of one rank are one class. Two that are seen
// in both orders can deadlock one day, whether or not they did today; so can a lock that an interrupt takes and that is also taken with interrupts on.
// The first occurrence of everything is kept with its stack, so that a report names both places.
#pragma once

#include "lib/lock_rank.h"
#include "lib/stack_trace.h"

namespace faultline {

// `rank` is waited for where `held` is held, which was taken at `held_at`. Panics if the other order has been seen, with the stacks of both.
void lock_class_follows(LockRank held, const StackTrace& held_at, LockRank rank);
// A lock of `rank` is taken in an interrupt, or with interrupts on. Panics if the other has been seen.
enum class TakenIn : uint8_t { kInterrupt, kInterruptsOn };
void lock_class_taken(LockRank rank, TakenIn where);

// A spin lock that was held for long, for who watches: the oldest that nobody has asked for yet.
struct LongHold {
  LockRank rank{};
  uint64_t cycles = 0;
  StackTrace taken;  // and let go at:
  StackTrace released;
};
bool lock_long_hold_take(LongHold& hold);
void lock_long_hold_note(const LongHold& hold);
extern uint64_t lock_hold_limit;  // cycles; set once at boot

// Forgets what was learnt; for tests.
void lock_classes_forget();

}  // namespace faultline
