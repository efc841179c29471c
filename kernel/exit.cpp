// The end of threads and processes: what is given up, who is told.
#include "drivers/terminal/terminal.h"
#include "fs/descriptor_table.h"
#include "fs/namespace.h"
#include "kernel/calls.h"
#include "kernel/fault_watch.h"
#include "kernel/futex.h"
#include "kernel/io_uring/ring_user.h"
#include "kernel/job_control.h"
#include "kernel/messages/mailbox.h"
#include "kernel/pid.h"
#include "kernel/power.h"
#include "kernel/process.h"
#include "kernel/reap.h"
#include "kernel/scheduler.h"
#include "kernel/signal_internal.h"
#include "kernel/time_internal.h"

namespace faultline {

namespace {

Process& init_process() REQUIRES(process_table_lock) { return *pid_find_locked(1); }

SignalInfo child_information(const Process& child, int32_t code, uint32_t status) {
  SignalInfo info = {};
  info.number = static_cast<int32_t>(child.exit_signal_ == Signal::kNone ? Signal::kChild : child.exit_signal_);
  info.code = code;
  constexpr uint64_t kNanosecondsPerTick = kNanosecondsPerSecond / kUserTicksPerSecond;
  info.fields[0] = child.pid();
  info.fields[1] = child.credentials().uid;
  info.fields[2] = status;
  info.fields[3] = static_cast<uint32_t>(child.ended_threads_.user_time / kNanosecondsPerTick);
  info.fields[4] = static_cast<uint32_t>(child.ended_threads_.kernel_time / kNanosecondsPerTick);
  return info;
}

// The parent learns of the end; true if it does not want to wait for it, so that the zombie goes at once.
bool report_end_locked(Process& child) REQUIRES(process_table_lock) {
  Process* parent = child.parent_;
  if (!parent) return false;
  bool unwanted = false;
  if (child.exit_signal_ != Signal::kNone) {
    uint32_t status = child.exit_status_;
    bool killed = status & 0x7f;
    SignalInfo info = child_information(child, killed ? kCodeKilled : kCodeExited, killed ? status & 0x7f : status >> 8);
    if (child.exit_signal_ == Signal::kChild) {
      InterruptLockGuard guard(parent->signal_lock_);
      const SignalAction& action = parent->handlers_->action(Signal::kChild);
      unwanted = action.handler == SignalAction::kIgnore || (action.flags & SignalAction::kNoChildWait);
    }
    ignore_result(signal_send_locked(*parent, info));  // SIGCHLD is not real-time: it cannot fail
  }
  parent->child_events_.wake_all();
  return unwanted;
}

// Children go to process 1; zombies among them are reported to it. Returns those that nobody wants, linked for the caller to drop.
void give_children_to_init_locked(Process& process, ReapedList& reaped) REQUIRES(process_table_lock) {
  Process& init = init_process();
  for (Process& child : process.children_) {
    process.children_.remove(child);
    child.parent_ = &init;
    child.parent_pid_.store(1, memory_order_relaxed);
    child.exit_signal_ = Signal::kChild;
    init.children_.push_back(child);
    if (child.parent_death_signal_ != Signal::kNone)
      ignore_result(signal_send_locked(child, signal_info_from_kernel(child.parent_death_signal_)));  // as above
    if (child.state_ == ProcessState::kZombie && report_end_locked(child)) reap_locked(child, reaped);
  }
}

void give_up_resources(Process& process) {
  RingUser::end_current();
  process.real_timer_.stop();
  posix_timers_end(process);
  if (process.leads_session()) terminal_session_leader_exits(process.session());
  Ref<DescriptorTable> descriptors;
  Ref<NameContext> names;
  Ref<File> executable;
  Ref<AddressSpace> space;
  uint32_t peak = process.space_->peak_resident_pages();
  {
    LockGuard guard(process.lock_);
    if (peak > process.peak_resident_pages_) process.peak_resident_pages_ = peak;
    std::swap(descriptors, process.descriptors_);
    std::swap(names, process.names_);
    std::swap(executable, process.executable_);
    std::swap(space, process.space_);
  }
  descriptors = nullptr;
  scheduler_switch_space(nullptr);
}

void become_zombie(Process& process) {
  ReapedList reaped;
  InterruptLockGuard guard(process_table_lock);
  process.state_ = ProcessState::kZombie;
  process.exit_status_ = process.group_exit_status_;
  process.main_thread_ = nullptr;
  process.ended_threads_.peak_resident_pages = process.peak_resident_pages_;
  give_children_to_init_locked(process, reaped);
  orphaned_groups_continue_locked(process);
  if (Thread* waiter = std::exchange(process.vfork_waiter_, nullptr)) wake(*waiter);
  if (report_end_locked(process)) reap_locked(process, reaped);
}

void process_end(Process& process) {
  if (process.pid() == 1) power_off_after_init(process.group_exit_status_);
  give_up_resources(process);
  become_zombie(process);
}

}  // namespace

void child_report_locked(Process& child, int32_t code, uint32_t status) {
  Process* parent = child.parent_;
  child.stop_report_ = code == kCodeContinued ? 0xffff : status << 8 | 0x7f;
  if (!parent) return;
  bool declined;
  {
    InterruptLockGuard guard(parent->signal_lock_);
    declined = parent->handlers_->action(Signal::kChild).flags & SignalAction::kNoChildStop;
  }
  if (!declined) {
    SignalInfo info = child_information(child, code, status);
    info.number = static_cast<int32_t>(Signal::kChild);
    ignore_result(signal_send_locked(*parent, info));  // not real-time: it cannot fail
  }
  parent->child_events_.wake_all();
}

void process_begin_exit(uint32_t status) {
  Process& process = current_process();
  InterruptLockGuard table(process_table_lock);
  InterruptLockGuard guard(process.signal_lock_);
  if (process.ending_) return;
  process.ending_ = true;
  process.group_exit_status_ = status;
  for (Thread& thread : process.threads_)
    if (&thread != &running_thread()) signal_notify(thread);
}

void thread_release_words(Thread& self) {
  Process& process = self.process();
  if (self.robust_list) futex_release_robust_list(self);  // the locks may be in memory that others map
  futex_hand_over_all(self);
  bool is_alone = process.thread_count_ <= 1 && process.space().reference_count() <= 1;
  if (self.clear_child_tid && !is_alone) {
    ignore_result(user_write(UserPtr<uint32_t>(self.clear_child_tid), 0u));  // the program's own address
    futex_wake_address(VirtAddr(self.clear_child_tid), 1);
  }
}

Result<void> thread_kill_others(Process& process, Thread& self) {
  {
    InterruptLockGuard table(process_table_lock);
    InterruptLockGuard guard(process.signal_lock_);
    if (process.ending_ || process.survivor_) return Errno::kAGAIN;
    process.survivor_ = &self;
    for (Thread& thread : process.threads_)
      if (&thread != &self) signal_notify(thread);
  }
  ignore_result(wait_until(process.child_events_, [&] { return process.thread_count_ == 1; }));  // uninterruptible: cannot fail
  self.descriptors = nullptr;
  InterruptLockGuard table(process_table_lock);
  InterruptLockGuard guard(process.signal_lock_);
  process.survivor_ = nullptr;
  if (self.id() != process.pid_) pid_forget_locked(self.id());
  self.set_id(process.pid_, pid_identity_locked(process.pid_));
  process.main_thread_ = &self;
  return {};
}

void thread_exit() {
  Thread& self = running_thread();
  Process& process = self.process();
  messages_end(self);
  thread_release_words(self);
  self.descriptors = nullptr;
  {
    Ref<AddressSpace> space = process.space_;  // other threads may end the process while this one still has it loaded
    bool is_last;
    {
      InterruptLockGuard guard(process_table_lock);
      process.ended_threads_.add(thread_usage(self));
      process.threads_.remove(self);
      fault_watch_leave_locked(self);
      ended_usage.minor_faults += self.minor_faults;
      ended_usage.major_faults += self.major_faults;
      is_last = --process.thread_count_ == 0;
      if (!is_last && process.main_thread_ == &self) process.main_thread_ = process.threads_.front();
      if (!is_last && self.id() != process.pid_) pid_forget_locked(self.id());
      InterruptLockGuard signals(process.signal_lock_);
      self.pending.discard(~0ull);
      signal_pass_on_locked(process, self, ~self.signal_mask | self.waited_for);
    }
    if (!is_last) process.child_events_.wake_all();  // an execve may wait for it
    if (is_last) {
      space = nullptr;
      process_end(process);
    } else {
      scheduler_switch_space(nullptr);
    }
  }
  fault_injection_stop(self);
  scheduler_exit();
}

Result<uint32_t> sys_exit(uint32_t status) {
  Process& process = current_process();
  {
    InterruptLockGuard guard(process.signal_lock_);
    if (!process.ending_) process.group_exit_status_ = (status & 0xff) << 8;  // the last thread's stands
  }
  thread_exit();
}

Result<uint32_t> sys_exit_group(uint32_t status) {
  process_begin_exit((status & 0xff) << 8);
  thread_exit();
}

}  // namespace faultline
