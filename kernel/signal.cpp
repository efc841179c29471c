// Sending signals: who is woken, what happens at once (death, stop and continue). Lock order: process table, then
// the target's signal lock.
#include "kernel/signal.h"

#include "kernel/process.h"
#include "kernel/scheduler.h"
#include "kernel/signal_internal.h"
#include "mm/slab.h"

namespace faultline {

Result<Ref<SignalHandlers>> SignalHandlers::create() { return Ref<SignalHandlers>::adopt(TRY(slab_new<SignalHandlers>())); }

void SignalHandlers::destroy(SignalHandlers* handlers) { slab_delete(handlers); }

Result<Ref<SignalHandlers>> SignalHandlers::clone() const {
  Ref<SignalHandlers> copy = TRY(create());
  copy->actions_ = actions_;
  return copy;
}

void SignalHandlers::reset_caught() {
  for (SignalAction& action : actions_) {
    bool ignored = action.handler == SignalAction::kIgnore;
    action = SignalAction();
    if (ignored) action.handler = SignalAction::kIgnore;
  }
}

// ---------------------------------------------------------------- information

SignalInfo signal_info_from_caller(Signal signal, int32_t code) {
  SignalInfo info;
  info.number = static_cast<int32_t>(signal);
  info.code = code;
  info.fields[0] = current_process().pid();
  info.fields[1] = current_process().credentials().uid;
  return info;
}

SignalInfo signal_info_from_kernel(Signal signal) {
  SignalInfo info;
  info.number = static_cast<int32_t>(signal);
  info.code = kCodeKernel;
  return info;
}

SignalInfo signal_info_of_fault(Signal signal, int32_t code, uint32_t address) {
  SignalInfo info;
  info.number = static_cast<int32_t>(signal);
  info.code = code;
  info.fields[0] = address;
  return info;
}

// ---------------------------------------------------------------- defaults

SignalDefault signal_default(Signal signal) {
  constexpr SignalSet kIgnored =
      signal_bit(Signal::kChild) | signal_bit(Signal::kUrgent) | signal_bit(Signal::kWindow) | signal_bit(Signal::kContinue);
  if (signal_bit(signal) & kIgnored) return SignalDefault::kIgnore;
  if (signal_bit(signal) & kStopSignals) return SignalDefault::kStop;
  return SignalDefault::kTerminate;
}

bool signal_is_ignored(Process& process, Signal signal) {
  uint32_t handler = process.handlers_->action(signal).handler;
  if (handler == SignalAction::kIgnore) return true;
  if (handler != SignalAction::kDefault) return false;
  // Process 1 takes only what it has asked for.
  return signal_default(signal) == SignalDefault::kIgnore || process.pid() == 1;
}

// ---------------------------------------------------------------- sending

// Makes `thread` look at its signals soon, wherever it is.
void signal_notify(Thread& thread) {
  thread.add_work(kWorkSignal);
  wake(thread);
  uint32_t cpu = thread.cpu.load(memory_order_relaxed);
  if (cpu != this_cpu()) cpu_kick(cpu);  // it may be in user mode there
}

namespace {

bool blocks(const Thread& thread, Signal signal) { return thread.signal_mask & signal_bit(signal) & ~kUnblockable; }

void notify_all(Process& process) {
  for (Thread& thread : process.threads_) signal_notify(thread);
}

void discard_everywhere(Process& process, SignalSet which) {
  process.pending_.discard(which);
  for (Thread& thread : process.threads_) thread.pending.discard(which);
}

// What sending does before anybody takes the signal: SIGCONT and SIGKILL set a stopped process going, opposites cancel.
void apply_at_once(Process& process, Signal signal) {
  if (signal_bit(signal) & kStopSignals) discard_everywhere(process, signal_bit(Signal::kContinue));
  if (signal != Signal::kContinue && signal != Signal::kKill) return;
  if (signal == Signal::kContinue) discard_everywhere(process, kStopSignals);
  process.continues_++;
  process.stopping_ = false;
  if (process.state_ != ProcessState::kStopped) return;
  process.state_ = ProcessState::kRunning;
  notify_all(process);
}

// The thread that shall take a signal sent to the process: one that waits for it, the main one, any that does not block it.
Thread* choose_thread(Process& process, Signal signal) {
  for (Thread& thread : process.threads_)
    if (thread.waited_for & signal_bit(signal)) return &thread;
  if (process.main_thread_ && !blocks(*process.main_thread_, signal)) return process.main_thread_;
  for (Thread& thread : process.threads_)
    if (!blocks(thread, signal)) return &thread;
  return nullptr;
}

// `only` is the one thread that may take it, or null for any; `own` the sender's own entry for it, if it has one.
Result<void> send_locked(Process& process, Thread* only, const SignalInfo& info, RepeatedSignal* own = nullptr)
    REQUIRES(process_table_lock) {
  auto signal = static_cast<Signal>(info.number);
  bool was_stopped = process.state_ == ProcessState::kStopped;
  {
    InterruptLockGuard guard(process.signal_lock_);
    if (process.state_ == ProcessState::kZombie || process.threads_.is_empty()) return {};
    apply_at_once(process, signal);
    Thread* taker =
        only ? (blocks(*only, signal) && !(only->waited_for & signal_bit(signal)) ? nullptr : only) : choose_thread(process, signal);
    bool ignored = signal_is_ignored(process, signal);
    bool sleeps_on = process.stopping_ && signal != Signal::kKill;  // dies of it only when it is continued
    if (ignored && taker && !(taker->waited_for & signal_bit(signal))) {
      // Nobody will miss it.
    } else if (taker && !ignored && !sleeps_on && process.handlers_->action(signal).handler == SignalAction::kDefault &&
               signal_default(signal) == SignalDefault::kTerminate && !(taker->waited_for & signal_bit(signal))) {
      if (!process.ending_) {
        process.ending_ = true;
        process.group_exit_status_ = static_cast<uint32_t>(info.number);
      }
      notify_all(process);
    } else {
      PendingSignals& pending = only ? only->pending : process.pending_;
      if (own)
        pending.add(*own);
      else
        TRY(pending.add(info));
      if (taker) signal_notify(*taker);
    }
  }
  if (was_stopped && process.state_ == ProcessState::kRunning && signal == Signal::kContinue)
    child_report_locked(process, kCodeContinued, static_cast<uint32_t>(Signal::kContinue));
  return {};
}

}  // namespace

Result<void> signal_send_locked(Process& process, const SignalInfo& info) { return send_locked(process, nullptr, info); }

Result<void> signal_send(Process& process, const SignalInfo& info) {
  InterruptLockGuard guard(process_table_lock);
  return send_locked(process, nullptr, info);
}

Result<void> signal_send_thread(Thread& thread, const SignalInfo& info) {
  InterruptLockGuard guard(process_table_lock);
  return signal_send_thread_locked(thread, info);
}

Result<void> signal_send_thread_locked(Thread& thread, const SignalInfo& info) { return send_locked(thread.process(), &thread, info); }

void signal_send_repeated_locked(Process& process, Thread* only, RepeatedSignal& signal, uint64_t times) {
  {
    InterruptLockGuard guard(process.signal_lock_);
    signal.times = signal.in_use ? signal.times + times : times;
    if (signal.in_use) return;
  }
  ignore_result(send_locked(process, only, signal.info, &signal));  // it has its entry: it cannot fail
}

bool signal_send_group(uint32_t group, const SignalInfo& info) {
  InterruptLockGuard guard(process_table_lock);
  return signal_send_group_locked(group, info);
}

bool signal_send_group_locked(uint32_t group, const SignalInfo& info) {
  bool found = false;
  for (Process& process : all_processes())
    if (process.group_ == group && process.state_ != ProcessState::kZombie) {
      ignore_result(send_locked(process, nullptr, info));  // only queued information can be lost
      found = true;
    }
  return found;
}

void signal_force(const SignalInfo& info) {
  Thread& self = running_thread();
  Process& process = self.process();
  auto signal = static_cast<Signal>(info.number);
  InterruptLockGuard table(process_table_lock);
  {
    InterruptLockGuard guard(process.signal_lock_);
    SignalAction& action = process.handlers_->action(signal);
    bool blocked = self.signal_mask & signal_bit(signal);
    if (blocked || action.handler == SignalAction::kIgnore) action.handler = SignalAction::kDefault;
    self.signal_mask &= ~signal_bit(signal);
    if (action.handler == SignalAction::kDefault && !process.ending_) {
      process.ending_ = true;
      process.group_exit_status_ = static_cast<uint32_t>(info.number);
      notify_all(process);
      return;
    }
  }
  ignore_result(send_locked(process, &self, info));  // a fault's information always fits the spare or is dropped
}

// ---------------------------------------------------------------- what the running thread may ask

namespace {
bool is_ending(const Thread& self) {
  const Process& process = self.process();
  return process.ending_ || (process.survivor_ && process.survivor_ != &self);
}

bool is_pending_locked(Thread& self) {
  Process& process = self.process();
  return is_ending(self) || process.stopping_ || ((self.pending.set() | process.pending_.set()) & ~(self.signal_mask & ~kUnblockable));
}
}  // namespace

bool signal_is_pending() {
  Thread& self = running_thread();
  if (self.is_kernel_thread() || !(self.work.load(memory_order_relaxed) & kWorkSignal)) return false;
  InterruptLockGuard guard(self.process().signal_lock_);
  return is_pending_locked(self);
}

bool fatal_signal_is_pending() {
  Thread& self = running_thread();
  return !self.is_kernel_thread() && is_ending(self);
}

bool sleep_is_interrupted(SleepKind kind) { return kind == SleepKind::kInterruptible ? signal_is_pending() : fatal_signal_is_pending(); }

void signal_set_mask(SignalSet mask) {
  Thread& self = running_thread();
  InterruptLockGuard guard(self.process().signal_lock_);
  self.signal_mask = mask & ~kUnblockable;
  if (is_pending_locked(self)) self.add_work(kWorkSignal);
}

void signal_set_temporary_mask(SignalSet mask) {
  Thread& self = running_thread();
  if (!(self.work.load(memory_order_relaxed) & kWorkMask)) self.saved_mask = self.signal_mask;
  self.add_work(kWorkMask);
  signal_set_mask(mask);
}

}  // namespace faultline
