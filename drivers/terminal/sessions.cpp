// Which terminal controls which session: acquired by open or TIOCSCTTY, given up by TIOCNOTTY, hang-up or the leader's end;
// and what processes in the background may do. credentials(7), tcsetpgrp(3).
#include "drivers/terminal/terminal.h"

namespace faultline {

namespace {

// Guards every terminal's control_ and the list of those that control a session. A leaf: nothing is called while it is held.
constinit SpinLock<LockRank::kLeaf> control_lock;
constinit Terminal* controlling GUARDED_BY(control_lock) = nullptr;

}  // namespace

Terminal::Control Terminal::control() const {
  LockGuard guard(control_lock);
  return control_;
}

Ref<Terminal> terminal_of_session(uint32_t session) {
  if (session == 0) return nullptr;
  LockGuard guard(control_lock);
  for (Terminal* terminal = controlling; terminal; terminal = terminal->next_controlling_)
    if (terminal->control_.session == session && terminal->try_acquire()) return Ref<Terminal>::adopt(terminal);
  return nullptr;
}

void Terminal::release_session() {
  LockGuard guard(control_lock);
  control_ = {};
  for (Terminal** link = &controlling; *link; link = &(*link)->next_controlling_) {
    if (*link != this) continue;
    *link = next_controlling_;
    break;
  }
}

// TIOCSCTTY: a session leader without a terminal takes one that controls no other session; root may steal it. kPERM.
Result<void> Terminal::take_session(const JobIdentity& caller, bool steal) {
  if (!caller.leads_session()) return Errno::kPERM;
  if (control().session == caller.session) return {};
  if (terminal_of_session(caller.session)) return Errno::kPERM;
  if (steal) release_session();
  LockGuard guard(control_lock);
  if (control_.session != 0) return Errno::kPERM;
  control_ = {caller.session, caller.group};
  next_controlling_ = controlling;
  controlling = this;
  return {};
}

void Terminal::acquire_if_free(const JobIdentity& caller) {
  ignore_result(take_session(caller, false));  // the terminal is open all the same
}

// TIOCNOTTY. A process that does not lead its session keeps the terminal: membership is the session's. kNOTTY.
Result<void> Terminal::drop_session(const JobIdentity& caller) {
  Control before = control();
  if (before.session == 0 || before.session != caller.session) return Errno::kNOTTY;
  if (!caller.leads_session()) return {};
  release_session();
  job_signal_group(before.foreground, kJobSignalHangUp);
  job_signal_group(before.foreground, kJobSignalContinue);
  return {};
}

Result<void> Terminal::set_foreground(uint32_t session, uint32_t group) {
  if (TRY(job_group_session(group)) != session) return Errno::kPERM;
  LockGuard guard(control_lock);
  if (control_.session == session) control_.foreground = group;
  return {};
}

Result<void> Terminal::check_background(uint32_t signal) {
  Control now = control();
  if (now.session == 0 || now.foreground == 0) return {};
  JobIdentity caller = job_caller();
  if (caller.session != now.session || caller.group == now.foreground) return {};
  if (job_caller_ignores(signal)) {
    if (signal == kJobSignalBackgroundRead) return Errno::kIO;
    return {};
  }
  if (job_group_is_orphaned(caller.group)) return Errno::kIO;
  job_signal_group(caller.group, signal);
  return Errno::kRESTARTSYS;
}

Result<void> Terminal::check_write() {
  if (!stops_background_.load(memory_order_relaxed)) return {};
  return check_background(kJobSignalBackgroundWrite);
}

void Terminal::disconnect() {
  release_session();
  {
    LockGuard guard(mutex_);
    hangups_.fetch_add(1, memory_order_seq_cst);
    discipline_.discard_input();
    start_output();
    publish_input();
  }
  read_queue_.wake_all();
  write_queue_.wake_all();
}

void Terminal::hang_up() {
  Control before = control();
  disconnect();
  if (before.session != 0) {
    job_signal_session_leader(before.session, kJobSignalHangUp);
    job_signal_session_leader(before.session, kJobSignalContinue);
  }
  if (before.foreground != 0) {
    job_signal_group(before.foreground, kJobSignalHangUp);
    job_signal_group(before.foreground, kJobSignalContinue);
  }
}

void terminal_session_leader_exits(uint32_t session) {
  Ref<Terminal> terminal = terminal_of_session(session);
  if (!terminal) return;
  uint32_t foreground = terminal->control().foreground;
  terminal->disconnect();
  if (foreground == 0) return;
  job_signal_group(foreground, kJobSignalHangUp);
  job_signal_group(foreground, kJobSignalContinue);
}

}  // namespace faultline
