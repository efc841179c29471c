// Futexes: sleeping until a word of user memory changes. See futex(2).
#pragma once

#include <cstdint>

#include "kernel/time.h"
#include "lib/address.h"
#include "lib/result.h"

namespace faultline {

class Thread;

// Of futex(2)'s operation: the two commands that programs' locks are made of, and a bit beside every command.
inline constexpr uint32_t kFutexWait = 0, kFutexWake = 1, kFutexPrivate = 128;

// FUTEX_WAIT without a time-out, and FUTEX_WAKE.
Result<uint32_t> futex_wait(VirtAddr address, uint32_t operation, uint32_t expected);
Result<uint32_t> futex_wake(VirtAddr address, uint32_t operation, uint32_t count);
// All else.
template <typename Time>
Result<uint32_t> futex_otherwise(VirtAddr address, uint32_t operation, uint32_t value, UserPtr<Time> timeout, VirtAddr second,
                                 uint32_t value3);

// futex(2), with times of either size. Inline, so that its row in the table of calls takes from the frame only what those two want.
template <typename Time>
inline Result<uint32_t> sys_futex(VirtAddr address, uint32_t operation, uint32_t value, UserPtr<Time> timeout, VirtAddr second,
                                  uint32_t value3) {
  const uint32_t command = operation & ~kFutexPrivate;
  if (command == kFutexWake) return futex_wake(address, operation, value);
  if (command == kFutexWait && timeout.is_null()) return futex_wait(address, operation, value);
  return futex_otherwise(address, operation, value, timeout, second, value3);
}

void futexes_initialize();  // boot
// Wakes up to `count` waiters of the running process' word; for thread exit. Returns how many.
uint32_t futex_wake_address(VirtAddr address, uint32_t count);
// set_robust_list(2): marks every futex that the ending thread held, and wakes one waiter of each.
void futex_release_robust_list(Thread& thread);
// The ending thread's priority-inheriting futexes go to those who wait for them. It can be waited for no more.
void futex_hand_over_all(Thread& thread);

}  // namespace faultline
