// What the files that send, deliver and end with signals know of each other.
#pragma once

#include "kernel/process.h"
#include "kernel/signal.h"

namespace faultline {

enum class SignalDefault : uint8_t { kTerminate, kIgnore, kStop };
SignalDefault signal_default(Signal signal);
// By action or by default. The signal lock is held.
bool signal_is_ignored(Process& process, Signal signal);

// `only` is the one thread that may take it, or null for any; `own` the sender's own entry for it, if it has one.
Result<void> signal_send_locked(Process& process, const SignalInfo& info, Thread* only = nullptr, RepeatedSignal* own = nullptr)
    REQUIRES(process_table_lock);
// Went off so many times; to one thread, or to any.
void signal_send_repeated_locked(Process& process, Thread* only, RepeatedSignal& signal, uint64_t times) REQUIRES(process_table_lock);
bool signal_send_group_locked(uint32_t group, const SignalInfo& info) REQUIRES(process_table_lock);
// A signal that has been taken for a handler, and the mask that comes back after it.
struct CaughtSignal {
  SignalInfo info;
  SignalAction action;
  SignalSet mask;
};
// Builds the user's frame for the handler, and enters it; false if the user stack cannot take it.
bool signal_frame_push(TrapFrame& frame, const CaughtSignal& caught);

// What waits for the thread, or for any of its process; the signal lock is held.
inline SignalSet signals_waiting(const Thread& thread) { return thread.pending.set() | thread.process().pending_.set(); }
// Makes a thread look at its signals soon.
void signal_notify(Thread& thread);

// One thread is told of a signal that is sent to its process. If it no longer takes it (its mask, its end), another is told that does:
// these tell the others of what still waits. The first is for the running thread, with nothing held, whenever it lets less through.
void signal_pass_on_to_others();
inline void signal_pass_on() {
  if (running_thread().process().thread_count() != 1) [[unlikely]]
    signal_pass_on_to_others();
}
void signal_pass_on_locked(Process& process, const Thread& leaver, SignalSet which) REQUIRES(process_table_lock, process.signal_lock_);

// Every process, zombies included; guarded by process_table_lock.
List<Process, AllProcessesTag>& all_processes();

// Tells the parent that a child stopped or continued (SIGCHLD unless it declined, wait(2)). `status`: the signal. exit.cpp.
void child_report_locked(Process& child, int32_t code, uint32_t status) REQUIRES(process_table_lock);

// Ends the running thread, and the process with its last one. Nothing may be held.
[[noreturn]] void thread_exit();
// Tells whoever shares memory with this thread that it is gone, or its program (execve): futexes that it holds, then the word of
// CLONE_CHILD_CLEARTID.
void thread_release_words(Thread& self);
// Ends all threads of the process with this wait(2) status; the caller still has to thread_exit().
void process_begin_exit(uint32_t status);
// execve of a program with several threads: ends the others and takes the process' number. kAGAIN: another thread was first.
Result<void> thread_kill_others(Process& process, Thread& self);

}  // namespace faultline
