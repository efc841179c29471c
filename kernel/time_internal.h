// What the files that make and end processes know of time.
#pragma once

#include "kernel/process.h"
#include "kernel/timer.h"

namespace faultline {

// The callback of Process::real_timer_ (setitimer ITIMER_REAL, alarm).
void real_timer_expired(Timer& timer);
ResourceUsage thread_usage(const Thread& thread);

}  // namespace faultline
