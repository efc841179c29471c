// Process groups and sessions: setpgid and its kin, orphaned groups, and what terminals ask (drivers/terminal/job_control.h).
#include "kernel/job_control.h"

#include "drivers/terminal/job_control.h"
#include "kernel/calls.h"
#include "kernel/pid.h"
#include "kernel/process.h"
#include "kernel/signal_internal.h"

namespace faultline {

namespace {

// Whether the process' parent keeps its group from being an orphan: one of the same session, in another group.
bool has_outside_parent(const Process& process) REQUIRES(process_table_lock) {
  const Process* parent = process.parent_;
  return parent && parent->pid_ != 1 && parent->session_ == process.session_ && parent->group_ != process.group_;
}

// Is the group orphaned, or would it be without `leaving`?
bool is_orphaned_without(uint32_t group, const Process* leaving) REQUIRES(process_table_lock) {
  for (const Process& process : all_processes()) {
    if (process.group_ != group || &process == leaving || process.state_ == ProcessState::kZombie) continue;
    if (has_outside_parent(process) && process.parent_ != leaving) return false;
  }
  return true;
}

bool has_stopped_member(uint32_t group) REQUIRES(process_table_lock) {
  for (const Process& process : all_processes())
    if (process.group_ == group && process.state_ == ProcessState::kStopped) return true;
  return false;
}

void continue_if_orphaned(uint32_t group, const Process& leaving) REQUIRES(process_table_lock) {
  if (!has_stopped_member(group) || !is_orphaned_without(group, &leaving)) return;
  signal_send_group_locked(group, signal_info_from_kernel(Signal::kHangUp));
  signal_send_group_locked(group, signal_info_from_kernel(Signal::kContinue));
}

}  // namespace

bool process_group_is_orphaned_locked(uint32_t group) { return is_orphaned_without(group, nullptr); }

void orphaned_groups_continue_locked(Process& leaving) {
  bool any_stopped = false;
  for (const Process& process : all_processes()) any_stopped |= process.state_ == ProcessState::kStopped;
  if (!any_stopped) return;
  if (has_outside_parent(leaving)) continue_if_orphaned(leaving.group_, leaving);  // or else it is no more of an orphan than before
  // Its children are process 1's by now; their groups have lost a member's parent.
  for (Process& child : all_processes())
    if (child.parent_ && child.parent_->pid_ == 1 && child.session_ == leaving.session_ && child.group_ != leaving.group_ &&
        child.state_ == ProcessState::kStopped)
      continue_if_orphaned(child.group_, leaving);
}

// ---------------------------------------------------------------- drivers/terminal/job_control.h

JobIdentity job_caller() {
  Process& self = current_process();
  return {self.pid(), self.group(), self.session(), self.credentials().is_superuser(), self.credentials().euid};
}

void job_signal_group(uint32_t group, uint32_t signal) { signal_send_group(group, signal_info_from_kernel(static_cast<Signal>(signal))); }

void job_signal_session_leader(uint32_t session, uint32_t signal) {
  InterruptLockGuard guard(process_table_lock);
  Process* leader = pid_find_locked(session);
  if (leader && leader->session_ == session && leader->pid_ == session)
    ignore_result(signal_send_locked(*leader, signal_info_from_kernel(static_cast<Signal>(signal))));  // not real-time: cannot fail
}

Result<uint32_t> job_group_session(uint32_t group) {
  InterruptLockGuard guard(process_table_lock);
  for (const Process& process : all_processes())
    if (process.group_ == group) return process.session_;
  return Errno::kSRCH;
}

bool job_group_is_orphaned(uint32_t group) {
  InterruptLockGuard guard(process_table_lock);
  return process_group_is_orphaned_locked(group);
}

bool job_caller_ignores(uint32_t number) {
  Thread& self = running_thread();
  auto signal = static_cast<Signal>(number);
  InterruptLockGuard guard(self.process().signal_lock_);
  return (self.signal_mask & signal_bit(signal)) || self.process().handlers_->action(signal).handler == SignalAction::kIgnore;
}

// ---------------------------------------------------------------- calls

Result<uint32_t> sys_setpgid(uint32_t pid, int32_t group) {
  if (group < 0) return Errno::kINVAL;
  Process& self = current_process();
  InterruptLockGuard guard(process_table_lock);
  Process* target = pid == 0 ? &self : pid_find_locked(pid);
  if (!target || (pid != 0 && target->pid_ != pid)) return Errno::kSRCH;
  uint32_t wanted = group == 0 ? target->pid_ : static_cast<uint32_t>(group);
  if (target != &self) {
    if (target->parent_ != &self) return Errno::kSRCH;
    if (target->session_ != self.session_) return Errno::kPERM;
    if (target->has_executed_) return Errno::kACCES;
  }
  if (target->leads_session()) return Errno::kPERM;
  if (wanted != target->pid_) {
    bool exists = false;
    for (const Process& process : all_processes()) exists |= process.group_ == wanted && process.session_ == self.session_;
    if (!exists) return Errno::kPERM;
  }
  if (wanted == target->group_) return 0u;
  uint32_t old = target->group_;
  pid_acquire_locked(wanted);
  target->group_ = wanted;
  pid_release_locked(old);
  return 0u;
}

Result<uint32_t> sys_getpgid(uint32_t pid) {
  InterruptLockGuard guard(process_table_lock);
  Process* target = pid == 0 ? &current_process() : pid_find_locked(pid);
  if (!target) return Errno::kSRCH;
  return target->group_;
}

Result<uint32_t> sys_getpgrp() { return current_process().group(); }

Result<uint32_t> sys_getsid(uint32_t pid) {
  InterruptLockGuard guard(process_table_lock);
  Process* target = pid == 0 ? &current_process() : pid_find_locked(pid);
  if (!target) return Errno::kSRCH;
  return target->session_;
}

Result<uint32_t> sys_setsid() {
  Process& self = current_process();
  InterruptLockGuard guard(process_table_lock);
  for (const Process& process : all_processes())
    if (process.group_ == self.pid_) return Errno::kPERM;
  pid_acquire_locked(self.pid_);
  pid_acquire_locked(self.pid_);
  pid_release_locked(self.group_);
  pid_release_locked(self.session_);
  self.group_ = self.session_ = self.pid_;
  return self.pid_;
}

}  // namespace faultline
