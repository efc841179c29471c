// Who may change how a thread is scheduled: for the files of the scheduling calls.
#pragma once

#include "kernel/process.h"

namespace faultline {

// The thread with this number, the caller for 0, or null.
Thread* thread_named_locked(uint32_t tid) REQUIRES(process_table_lock);
// Root, or the same user.
bool may_schedule(const Thread& thread);
// Raising a nice value is free; lowering it needs root or RLIMIT_NICE.
bool may_become_nicer_than(const Thread& thread, int nice);

}  // namespace faultline
