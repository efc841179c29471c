// Futexes: sleeping until a word of user memory changes. See futex(2).
#pragma once

#include <cstdint>

#include "kernel/system_call.h"
#include "lib/address.h"
#include "lib/result.h"

namespace faultline {

class Thread;

// Of futex(2)'s operation: the two commands that programs' locks are made of, and a bit beside every command.
inline constexpr uint32_t kFutexWait = 0, kFutexWake = 1, kFutexPrivate = 128;

// FUTEX_WAIT without a time-out, and FUTEX_WAKE.
Result<uint32_t> futex_wait(VirtAddr address, uint32_t operation, uint32_t expected);
Result<uint32_t> futex_wake(VirtAddr address, uint32_t operation, uint32_t count);
// What the table of calls holds for futex(2), with times of either size: these two take little from the frame, the handler has all else.
template <auto kHandler>
Result<uint32_t> futex_entry(uint32_t number, TrapFrame& frame) {
  const uint32_t operation = frame.ecx, command = operation & ~kFutexPrivate;
  if (command == kFutexWake) return futex_wake(VirtAddr(frame.ebx), operation, frame.edx);
  if (command == kFutexWait && frame.esi == 0) return futex_wait(VirtAddr(frame.ebx), operation, frame.edx);
  return entry<kHandler>(number, frame);
}

void futexes_initialize();  // boot
// Wakes up to `count` waiters of the running process' word; for thread exit. Returns how many.
uint32_t futex_wake_address(VirtAddr address, uint32_t count);
// set_robust_list(2): marks every futex that the ending thread held, and wakes one waiter of each.
void futex_release_robust_list(Thread& thread);
// The ending thread's priority-inheriting futexes go to those who wait for them. It can be waited for no more.
void futex_hand_over_all(Thread& thread);

}  // namespace faultline
