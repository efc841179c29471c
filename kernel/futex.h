// Futexes: sleeping until a word of user memory changes. See futex(2).
#pragma once

#include <cstdint>

#include "lib/address.h"

namespace faultline {

class Thread;

void futexes_initialize();  // boot
// Wakes up to `count` waiters of the running process' word; for thread exit. Returns how many.
uint32_t futex_wake_address(VirtAddr address, uint32_t count);
// set_robust_list(2): marks every futex that the ending thread held, and wakes one waiter of each.
void futex_release_robust_list(Thread& thread);
// The ending thread's priority-inheriting futexes go to those who wait for them. It can be waited for no more.
void futex_hand_over_all(Thread& thread);

}  // namespace faultline
