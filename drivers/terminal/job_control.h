// What terminals need to know about processes and do to them; kernel/ implements it. Terminals keep which session they
// belong to themselves, so a process's controlling terminal is "the terminal of my session" (see terminal.h).
// Thread context only; the caller may hold a terminal's mutex (LockRank::kTerminal).
#pragma once

#include <cstdint>

#include "lib/result.h"

namespace faultline {

// The signals that terminals send (signal(7), i386 numbers).
inline constexpr uint32_t kJobSignalHangUp = 1, kJobSignalInterrupt = 2, kJobSignalQuit = 3, kJobSignalContinue = 18, kJobSignalStop = 20,
                          kJobSignalBackgroundRead = 21, kJobSignalBackgroundWrite = 22, kJobSignalWindowChanged = 28;

// The running process, as job control sees it. `privileged` is CAP_SYS_ADMIN's part (root).
struct JobIdentity {
  uint32_t process = 0, group = 0, session = 0;
  bool privileged = false;
  uint32_t user = 0;  // the effective id
  bool leads_session() const { return process == session; }
};
JobIdentity job_caller();

// Sends `signal` to every process of the group, as the kernel (no permission is asked). Nothing happens if the group is empty.
void job_signal_group(uint32_t group, uint32_t signal);

// Sends `signal` to the session's leader alone.
void job_signal_session_leader(uint32_t session, uint32_t signal);

// The session that the group belongs to: kSRCH if no such group exists.
Result<uint32_t> job_group_session(uint32_t group);

// No process of the group has a parent in the same session but another group: nobody could ever continue it (POSIX).
bool job_group_is_orphaned(uint32_t group);

// The running thread blocks the signal, or its process ignores it.
bool job_caller_ignores(uint32_t signal);

}  // namespace faultline
