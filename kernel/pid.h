// Numbers of processes and threads. A number is taken while anything goes by it: a process or thread, a process group, a session.
#pragma once

#include <cstdint>

#include "kernel/process.h"
#include "lib/result.h"

namespace faultline {

inline constexpr uint32_t kPidBits = 15, kPidLimit = 1u << kPidBits;  // /proc/sys/kernel/pid_max

// A number that nothing uses, counted once, standing for `process` (or for a thread of it). kAGAIN: none is left.
Result<uint32_t> pid_allocate_locked(Process& process) REQUIRES(process_table_lock);
void pid_acquire_locked(uint32_t number) REQUIRES(process_table_lock);  // as group or session
void pid_release_locked(uint32_t number) REQUIRES(process_table_lock);
// The process or thread with this number ends; groups and sessions may still use it.
void pid_forget_locked(uint32_t number) REQUIRES(process_table_lock);
// The process that has the number, or one of whose threads has it; null.
Process* pid_find_locked(uint32_t number) REQUIRES(process_table_lock);
// The thread that has the number; null. It stays one while the table is locked.
Thread* pid_find_thread_locked(uint32_t number) REQUIRES(process_table_lock);
// The identity (lib/abi/message.h) of whatever has the number: with the round in which it was given out, which comes again only after as many
// rounds as fit 16 bits, each of them some thirty thousand processes.
uint32_t pid_identity_locked(uint32_t number) REQUIRES(process_table_lock);
// The lowest process number at or above `number`, or 0.
uint32_t pid_next_process_locked(uint32_t number) REQUIRES(process_table_lock);
// The number given out last, for /proc/loadavg.
uint32_t pid_last();

}  // namespace faultline
