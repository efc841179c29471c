// What the files that make and end processes know of time.
#pragma once

#include "kernel/process.h"

namespace faultline {

// The processor time of all its threads, in nanoseconds.
uint64_t process_run_time_locked(Process& process) REQUIRES(process_table_lock);
// Ends the timers of timer_create(2): exec, exit.
void posix_timers_end(Process& process);
ResourceUsage thread_usage(const Thread& thread);

}  // namespace faultline
