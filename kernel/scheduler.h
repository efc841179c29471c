// The scheduler: one run queue for each CPU, ordered by virtual runtime, pre-emptive; idle CPUs halt. lib/scheduling.h is
// its face for the lower floors.
#pragma once

#include <cstdint>

#include "kernel/thread.h"

namespace faultline {

// Makes the context that boots into the idle thread of this CPU, so that current_thread() works and locks may be taken.
// Once on each CPU, interrupts off; the boot CPU needs slab first.
void scheduler_initialize();
// The CPU joins the others: runs threads, halts when there are none. Never returns.
[[noreturn]] void scheduler_enter_cpu();

// Makes a new thread runnable, on an idle CPU if there is one.
void scheduler_start(Thread& thread);
// Ends the running thread: it never runs again, its stack is reused. Everything else of it has been given up.
[[noreturn]] void scheduler_exit();
// The running thread changes to `space` (execve, exit: null), which somebody else keeps a reference to. The old one may stay
// loaded until it ends or another takes its place.
void scheduler_switch_space(AddressSpace* space);
// As wake(), and when the caller blocks the thread runs in its place, on this CPU, without standing in line (a fair one that may run here). Any
// context but an interrupt handler. A caller that does not block after all says so, for the thread to run elsewhere.
void scheduler_run_next(Thread& thread);
void scheduler_keep_running();
// As wake(), and the thread runs at once: on a CPU that has nothing to do, else here instead of the caller, who stays runnable, as soon as that
// holds no lock.
void scheduler_run_now(Thread& thread);
// Changes policy, nice or allowed CPUs; moves the thread if it must.
void scheduler_set_policy(Thread& thread, SchedulingPolicy policy, int nice);
void scheduler_set_nice(Thread& thread, int nice);
// The priority that counts. Only for kernel/priority_lending.cpp.
void scheduler_set_priority(Thread& thread, uint8_t priority);
// The caller may find itself on the wrong CPU afterwards: scheduler_move_self().
void scheduler_set_allowed(Thread& thread, CpuMask allowed);
// Sleeps until the running thread is on a CPU that it may run on.
void scheduler_move_self();
// Monotonic nanoseconds that `thread` has run, the present slice included if it is the caller.
uint64_t scheduler_run_time(const Thread& thread);

struct SchedulerStatistics {
  uint64_t switches = 0;
  uint64_t idle_time = 0;  // nanoseconds, all CPUs
  uint64_t user_time = 0, kernel_time = 0;
  uint32_t runnable = 0;  // threads that run or could
};
SchedulerStatistics scheduler_statistics(uint32_t cpu);
// Load averages as sysinfo(2): 1, 5, 15 minutes, 16-bit fractions.
void scheduler_load_averages(uint32_t (&loads)[3]);
// Starts the timer behind the load averages. Boot only.
void scheduler_start_load_averages();
// Would a signal cut a sleep of `kind` short now?
bool sleep_is_interrupted(SleepKind kind);

}  // namespace faultline
