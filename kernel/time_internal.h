// What the files that make and end processes know of time.
#pragma once

#include "kernel/process.h"

namespace faultline {

// What it and its threads, those that have ended too, have used: as far as samples can tell user and kernel time apart.
ResourceUsage process_usage_locked(Process& process) REQUIRES(process_table_lock);
// The processor time of all its threads, in nanoseconds, exact.
uint64_t process_run_time_locked(Process& process) REQUIRES(process_table_lock);
// Ends the timers of timer_create(2): exec, exit.
void posix_timers_end(Process& process);
ResourceUsage thread_usage(const Thread& thread);

}  // namespace faultline
