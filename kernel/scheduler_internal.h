// What the files that make and switch threads know of each other.
#pragma once

#include "kernel/thread.h"

namespace faultline {

// The first thing a new thread does: lets go of the run queue that the switch to it was made under. Interrupts off.
void scheduler_finish_switch();
// Takes back a thread that will never run again. Any context.
void thread_ended(Thread* thread);
void thread_cache_initialize();
// RLIMIT_CPU: looked at in every tick that the process gets. Interrupts off.
void process_check_time_limit(Process& process);

}  // namespace faultline
