// What the files that make and switch threads know of each other.
#pragma once

#include "kernel/thread.h"

namespace faultline {

// The first thing a new thread does: lets go of the run queue that the switch to it was made under. Interrupts off.
void scheduler_finish_switch();
// Takes back a thread that will never run again. Any context.
void thread_ended(Thread* thread);
void thread_cache_initialize();
// In every tick that the process gets: its timers of processor time and RLIMIT_CPU (interval_timers.cpp). Interrupts off.
void process_tick(Process& process);

}  // namespace faultline
