// The calls that send signals, wait for them and set what they do.
#include "kernel/calls.h"
#include "kernel/pid.h"
#include "kernel/process.h"
#include "kernel/signal_internal.h"

namespace faultline {

// ---------------------------------------------------------------- actions

namespace {

Result<SignalAction> exchange_action(uint32_t number, const SignalAction* wanted) {
  if (!is_valid_signal(number)) return Errno::kINVAL;
  auto signal = static_cast<Signal>(number);
  if (wanted && (signal_bit(signal) & kUnblockable)) return Errno::kINVAL;
  Process& self = current_process();
  InterruptLockGuard table(process_table_lock);
  InterruptLockGuard guard(self.signal_lock_);
  SignalAction& action = self.handlers_->action(signal);
  SignalAction old = action;
  if (!wanted) return old;
  action = *wanted;
  action.mask &= ~kUnblockable;
  // Ignoring a signal forgets the ones that wait (POSIX).
  if (signal_is_ignored(self, signal)) {
    self.pending_.discard(signal_bit(signal));
    for (Thread& thread : self.threads_) thread.pending.discard(signal_bit(signal));
  }
  return old;
}

// rt_sigaction's struct: the mask of 8 bytes follows without padding.
struct UserAction {
  uint32_t handler, flags, restorer, mask[2];
};
static_assert(sizeof(UserAction) == 20);

struct OldUserAction {
  uint32_t handler, mask, flags, restorer;
};

}  // namespace

Result<uint32_t> sys_rt_sigaction(uint32_t number, UserPtr<UserSignalAction> wanted, UserPtr<UserSignalAction> old, uint32_t set_size) {
  if (set_size != sizeof(SignalSet)) return Errno::kINVAL;
  SignalAction action = {};
  if (!wanted.is_null()) {
    UserAction user = TRY(user_read(wanted.as<UserAction>()));
    action = {user.handler, user.flags, user.restorer, user.mask[0] | static_cast<SignalSet>(user.mask[1]) << 32};
  }
  SignalAction before = TRY(exchange_action(number, wanted.is_null() ? nullptr : &action));
  if (!old.is_null())
    TRY(user_write(
        old.as<UserAction>(),
        {before.handler, before.flags, before.restorer, {static_cast<uint32_t>(before.mask), static_cast<uint32_t>(before.mask >> 32)}}));
  return 0u;
}

Result<uint32_t> sys_sigaction(uint32_t number, UserPtr<UserSignalAction> wanted, UserPtr<UserSignalAction> old) {
  SignalAction action = {};
  if (!wanted.is_null()) {
    OldUserAction user = TRY(user_read(wanted.as<OldUserAction>()));
    action = {user.handler, user.flags, user.restorer, user.mask};
  }
  SignalAction before = TRY(exchange_action(number, wanted.is_null() ? nullptr : &action));
  if (!old.is_null())
    TRY(user_write(old.as<OldUserAction>(), {before.handler, static_cast<uint32_t>(before.mask), before.flags, before.restorer}));
  return 0u;
}

Result<uint32_t> sys_signal(uint32_t number, uint32_t handler) {
  SignalAction action = {};
  action.handler = handler;
  action.flags = SignalAction::kResetHand | SignalAction::kNoDefer;
  SignalAction before = TRY(exchange_action(number, &action));
  return before.handler;
}

// ---------------------------------------------------------------- masks

namespace {

Result<void> change_mask(uint32_t how, SignalSet set, SignalSet width) {
  constexpr uint32_t kBlock = 0, kUnblock = 1, kSet = 2;
  SignalSet mask = running_thread().signal_mask;
  if (how == kBlock)
    mask |= set;
  else if (how == kUnblock)
    mask &= ~set;
  else if (how == kSet)
    mask = (mask & ~width) | set;
  else
    return Errno::kINVAL;
  signal_set_mask(mask);
  return {};
}

}  // namespace

Result<uint32_t> sys_rt_sigprocmask(uint32_t how, UserPtr<SignalSet> wanted, UserPtr<SignalSet> old, uint32_t set_size) {
  if (set_size != sizeof(SignalSet)) return Errno::kINVAL;
  SignalSet before = running_thread().signal_mask;
  if (!wanted.is_null()) {
    SignalSet set = TRY(user_read(wanted));
    TRY(change_mask(how, set, ~0ull));
  }
  if (!old.is_null()) TRY(user_write(old, before));
  return 0u;
}

Result<uint32_t> sys_sigprocmask(uint32_t how, UserPtr<uint32_t> wanted, UserPtr<uint32_t> old) {
  auto before = static_cast<uint32_t>(running_thread().signal_mask);
  if (!wanted.is_null()) {
    uint32_t set = TRY(user_read(wanted));
    TRY(change_mask(how, set, 0xffffffffu));
  }
  if (!old.is_null()) TRY(user_write(old, before));
  return 0u;
}

namespace {
SignalSet pending_and_blocked() { return signals_waiting_for_caller() & running_thread().signal_mask; }

// Sleeps until a signal that `mask` lets through has a handler to run.
Result<uint32_t> suspend(SignalSet mask) {
  signal_set_temporary_mask(mask);
  while (!signal_is_pending()) ignore_result(block(SleepKind::kInterruptible));  // the loop looks itself
  return Errno::kRESTARTNOHAND;
}
}  // namespace

Result<uint32_t> sys_rt_sigpending(UserPtr<SignalSet> set, uint32_t set_size) {
  if (set_size > sizeof(SignalSet)) return Errno::kINVAL;
  SignalSet pending = pending_and_blocked();
  TRY(user_write_bytes(set.address(), &pending, set_size));
  return 0u;
}

Result<uint32_t> sys_sigpending(UserPtr<uint32_t> set) {
  TRY(user_write(set, static_cast<uint32_t>(pending_and_blocked())));
  return 0u;
}

Result<uint32_t> sys_rt_sigsuspend(UserPtr<SignalSet> wanted, uint32_t set_size) {
  if (set_size != sizeof(SignalSet)) return Errno::kINVAL;
  SignalSet mask = TRY(user_read(wanted));
  return suspend(mask);
}

// The old call's mask is its third argument.
Result<uint32_t> sys_sigsuspend(uint32_t, uint32_t, uint32_t mask) { return suspend(mask); }

Result<uint32_t> sys_pause() {
  while (!signal_is_pending()) ignore_result(block(SleepKind::kInterruptible));  // the loop looks itself
  return Errno::kRESTARTNOHAND;
}

// ---------------------------------------------------------------- waiting

namespace {

Result<uint32_t> wait_for_signal(SignalSet wanted, UserPtr<uint8_t> where, Deadline deadline) {
  Thread& self = running_thread();
  wanted &= ~kUnblockable;
  SignalInfo info = {};
  auto set_waited = [&](SignalSet set) {
    InterruptLockGuard guard(self.process().signal_lock_);
    self.waited_for = set;
  };
  set_waited(wanted);
  Result<void> slept;
  bool taken;
  while (!(taken = signal_take(wanted, info)) && slept.ok()) slept = block(SleepKind::kInterruptible, deadline);
  set_waited(0);
  signal_pass_on();
  if (!taken) return slept.error() == Errno::kTIMEDOUT ? Errno::kAGAIN : Errno::kINTR;
  if (!where.is_null()) TRY(user_write(where.as<SignalInfo>(), info));
  return static_cast<uint32_t>(info.number);
}

}  // namespace

Result<uint32_t> sys_rt_sigtimedwait(UserPtr<SignalSet> wanted, UserPtr<uint8_t> info, UserPtr<Timespec32> timeout, uint32_t set_size) {
  if (set_size != sizeof(SignalSet)) return Errno::kINVAL;
  SignalSet set = TRY(user_read(wanted));
  Deadline deadline;
  if (!timeout.is_null()) {
    Timespec32 time = TRY(user_read(timeout));
    uint64_t nanoseconds = TRY(nanoseconds_of(time));
    deadline = deadline_after(nanoseconds);
  }
  return wait_for_signal(set, info, deadline);
}

Result<uint32_t> sys_rt_sigtimedwait_time64(UserPtr<SignalSet> wanted, UserPtr<uint8_t> info, UserPtr<Timespec64> timeout,
                                            uint32_t set_size) {
  if (set_size != sizeof(SignalSet)) return Errno::kINVAL;
  SignalSet set = TRY(user_read(wanted));
  Deadline deadline;
  if (!timeout.is_null()) {
    Timespec64 time = TRY(user_read(timeout));
    uint64_t nanoseconds = TRY(nanoseconds_of(time));
    deadline = deadline_after(nanoseconds);
  }
  return wait_for_signal(set, info, deadline);
}

// ---------------------------------------------------------------- sending

namespace {

[[gnu::noinline]] bool may_signal_as_user(const Process& self, const Process& target, uint32_t number) {
  const Credentials& mine = self.credentials();
  const Credentials& theirs = target.credentials();
  if (mine.euid == theirs.suid || mine.euid == theirs.uid || mine.uid == theirs.suid || mine.uid == theirs.uid) return true;
  return number == static_cast<uint32_t>(Signal::kContinue) && self.session_ == target.session_;
}

bool may_signal(const Process& target, uint32_t number) {
  const Process& self = current_process();
  return self.credentials().is_superuser() || may_signal_as_user(self, target, number);
}

// Sends to every process that `selects`, the caller's own permission being asked for each. kSRCH: none; kPERM: none that may be.
template <typename Selector>
Result<uint32_t> send_to_many(uint32_t number, Selector selects) {
  SignalInfo info = signal_info_from_caller(static_cast<Signal>(number), kCodeUser);
  signal_entries_balance();
  InterruptLockGuard guard(process_table_lock);
  bool found = false, permitted = false;
  for (Process& process : all_processes()) {
    if (!selects(process)) continue;
    found = true;
    if (!may_signal(process, number)) continue;
    permitted = true;
    if (number != 0) ignore_result(signal_send_locked(process, info));  // SI_USER information may be lost
  }
  if (!found) return Errno::kSRCH;
  if (!permitted) return Errno::kPERM;
  return 0u;
}

Result<uint32_t> send_to_one(uint32_t pid, const SignalInfo& info) {
  auto number = static_cast<uint32_t>(info.number);
  signal_entries_balance();
  InterruptLockGuard guard(process_table_lock);
  Process* target = pid_find_locked(pid);
  if (!target) return Errno::kSRCH;
  if (!may_signal(*target, number)) return Errno::kPERM;
  if (number != 0) TRY(signal_send_locked(*target, info));
  return 0u;
}

// `group` 0: any process' thread.
Result<uint32_t> send_to_thread(uint32_t group, uint32_t tid, const SignalInfo& info) {
  auto number = static_cast<uint32_t>(info.number);
  signal_entries_balance();
  InterruptLockGuard guard(process_table_lock);
  Process* target = pid_find_locked(tid);
  if (!target || (group != 0 && target->pid_ != group)) return Errno::kSRCH;
  if (!may_signal(*target, number)) return Errno::kPERM;
  for (Thread& thread : target->threads_)
    if (thread.id() == tid) {
      if (number != 0) TRY(signal_send_locked(*target, info, &thread));
      return 0u;
    }
  return target->state_ == ProcessState::kZombie ? Result<uint32_t>(0u) : Errno::kSRCH;
}

Result<SignalInfo> read_information(uint32_t number, UserPtr<uint8_t> user) {
  SignalInfo info = TRY(user_read(user.as<SignalInfo>()));
  info.number = static_cast<int32_t>(number);
  return info;
}

}  // namespace

Result<void> signal_permission(Process& target, Signal signal) {
  return may_signal(target, static_cast<uint32_t>(signal)) ? Result<void>() : Errno::kPERM;
}

Result<uint32_t> sys_kill(int32_t pid, uint32_t number) {
  if (number > 64) return Errno::kINVAL;
  if (pid > 0) return send_to_one(static_cast<uint32_t>(pid), signal_info_from_caller(static_cast<Signal>(number), kCodeUser));
  if (pid == INT32_MIN) return Errno::kSRCH;
  Process& self = current_process();
  if (pid == -1) return send_to_many(number, [&](const Process& process) { return process.pid_ > 1 && &process != &self; });
  uint32_t group = pid == 0 ? self.group() : static_cast<uint32_t>(-pid);
  return send_to_many(number, [group](const Process& process) { return process.group_ == group; });
}

Result<uint32_t> sys_tkill(int32_t tid, uint32_t number) {
  if (tid <= 0 || number > 64) return Errno::kINVAL;
  return send_to_thread(0, static_cast<uint32_t>(tid), signal_info_from_caller(static_cast<Signal>(number), kCodeThreadKill));
}

Result<uint32_t> sys_tgkill(int32_t pid, int32_t tid, uint32_t number) {
  if (pid <= 0 || tid <= 0 || number > 64) return Errno::kINVAL;
  return send_to_thread(static_cast<uint32_t>(pid), static_cast<uint32_t>(tid),
                        signal_info_from_caller(static_cast<Signal>(number), kCodeThreadKill));
}

Result<uint32_t> sys_rt_sigqueueinfo(uint32_t pid, uint32_t number, UserPtr<uint8_t> user) {
  if (number > 64) return Errno::kINVAL;
  SignalInfo info = TRY(read_information(number, user));
  // Nobody may pretend to be the kernel, or kill(2), to another process.
  if ((info.code >= 0 || info.code == kCodeThreadKill) && pid != current_process().pid()) return Errno::kPERM;
  return send_to_one(pid, info);
}

Result<uint32_t> sys_rt_tgsigqueueinfo(uint32_t pid, uint32_t tid, uint32_t number, UserPtr<uint8_t> user) {
  if (number > 64 || pid == 0 || tid == 0) return Errno::kINVAL;
  SignalInfo info = TRY(read_information(number, user));
  if ((info.code >= 0 || info.code == kCodeThreadKill) && pid != current_process().pid()) return Errno::kPERM;
  return send_to_thread(pid, tid, info);
}

}  // namespace faultline
