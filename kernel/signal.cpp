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
  const Process& caller = current_process();
  return {static_cast<int32_t>(signal), 0, code, {caller.pid(), caller.credentials().uid, 0, 0, 0}};
}

SignalInfo signal_info_from_kernel(Signal signal) { return {static_cast<int32_t>(signal), 0, kCodeKernel, {0, 0, 0, 0, 0}}; }

SignalInfo signal_info_of_fault(Signal signal, int32_t code, uint32_t address) {
  return {static_cast<int32_t>(signal), 0, code, {address, 0, 0, 0, 0}};
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

// Would the thread take it? sigtimedwait(2) takes what is blocked, too.
bool wants(const Thread& thread, Signal signal) { return !contains(thread.signal_mask, signal) || contains(thread.waited_for, signal); }

void notify_all(Process& process) {
  for (Thread& thread : process.threads_) signal_notify(thread);
}

void discard_everywhere(Process& process, SignalSet which) {
  process.pending_.discard(which);
  for (Thread& thread : process.threads_) thread.pending.discard(which);
}

constexpr SignalSet kActAtOnce = kStopSignals | signal_bit(Signal::kContinue) | signal_bit(Signal::kKill);

// What sending these does before anybody takes the signal: SIGCONT and SIGKILL set a stopped process going, opposites cancel.
void apply_at_once(Process& process, Signal signal) {
  if (contains(kStopSignals, signal)) discard_everywhere(process, signal_bit(Signal::kContinue));
  if (signal != Signal::kContinue && signal != Signal::kKill) return;
  if (signal == Signal::kContinue) discard_everywhere(process, kStopSignals);
  process.continues_++;
  process.stopping_ = false;
  if (process.state_ != ProcessState::kStopped) return;
  process.state_ = ProcessState::kRunning;
  notify_all(process);
}

// The thread that shall take a signal sent to the process: the main one if it would, as on Linux, else any.
Thread* choose_thread(Process& process, Signal signal) {
  if (process.main_thread_ && wants(*process.main_thread_, signal)) return process.main_thread_;
  for (Thread& thread : process.threads_)
    if (wants(thread, signal)) return &thread;
  return nullptr;
}

enum class Effect : uint8_t { kNone, kDeath, kWaits };

// Nobody misses what is ignored, and the default that is death comes at once; whatever else is sent waits to be taken.
Effect effect_of(Process& process, const Thread* taker, Signal signal) {
  bool is_caught = process.handlers_->action(signal).handler > SignalAction::kIgnore;
  if (is_caught || !taker || contains(taker->waited_for, signal)) return Effect::kWaits;
  if (signal_is_ignored(process, signal)) return Effect::kNone;
  bool sleeps_on = process.stopping_ && signal != Signal::kKill;  // dies of it only when it is continued
  return !sleeps_on && signal_default(signal) == SignalDefault::kTerminate ? Effect::kDeath : Effect::kWaits;
}

void begin_death(Process& process, Signal signal) {
  if (!process.ending_) {
    process.ending_ = true;
    process.group_exit_status_ = static_cast<uint32_t>(signal);
  }
  notify_all(process);
}

}  // namespace

Result<void> signal_send_locked(Process& process, const SignalInfo& info, Thread* only, RepeatedSignal* own) {
  auto signal = static_cast<Signal>(info.number);
  bool was_stopped = process.state_ == ProcessState::kStopped;
  {
    InterruptLockGuard guard(process.signal_lock_);
    if (process.state_ == ProcessState::kZombie || process.threads_.is_empty()) return {};
    if (contains(kActAtOnce, signal)) apply_at_once(process, signal);
    Thread* taker = !only ? choose_thread(process, signal) : wants(*only, signal) ? only : nullptr;
    Effect effect = effect_of(process, taker, signal);
    if (effect == Effect::kDeath) begin_death(process, signal);
    if (effect == Effect::kWaits) {
      PendingSignals& pending = only ? only->pending : process.pending_;
      if (own)
        pending.add(*own);
      else
        TRY(pending.add(info));
      if (taker) signal_notify(*taker);
      signal_news(process).wake_all(kPollIn);
    }
  }
  if (was_stopped && process.state_ == ProcessState::kRunning && signal == Signal::kContinue)
    child_report_locked(process, kCodeContinued, static_cast<uint32_t>(Signal::kContinue));
  return {};
}

Result<void> signal_send(Process& process, const SignalInfo& info) {
  InterruptLockGuard guard(process_table_lock);
  return signal_send_locked(process, info);
}

Result<void> signal_send_thread(Thread& thread, const SignalInfo& info) {
  InterruptLockGuard guard(process_table_lock);
  return signal_send_locked(thread.process(), info, &thread);
}

void signal_send_repeated_locked(Process& process, Thread* only, RepeatedSignal& signal, uint64_t times) {
  {
    InterruptLockGuard guard(process.signal_lock_);
    signal.times = signal.in_use ? signal.times + times : times;
    if (signal.in_use) return;
  }
  ignore_result(signal_send_locked(process, signal.info, only, &signal));  // it has its entry: it cannot fail
}

bool signal_send_group(uint32_t group, const SignalInfo& info) {
  InterruptLockGuard guard(process_table_lock);
  return signal_send_group_locked(group, info);
}

bool signal_send_group_locked(uint32_t group, const SignalInfo& info) {
  bool found = false;
  for (Process& process : all_processes())
    if (process.group_ == group && process.state_ != ProcessState::kZombie) {
      ignore_result(signal_send_locked(process, info));  // only queued information can be lost
      found = true;
    }
  return found;
}

void signal_pass_on_locked(Process& process, const Thread& leaver, SignalSet which) {
  SignalSet left = process.pending_.set() & which;
  for (Thread& thread : process.threads_) {
    SignalSet takes = left & (~thread.signal_mask | thread.waited_for);
    if (&thread == &leaver || takes == 0) continue;
    signal_notify(thread);
    left &= ~takes;
  }
}

void signal_pass_on_to_others() {
  Thread& self = running_thread();
  Process& process = self.process();
  // Who sends one from now on looks at the mask that is set already.
  if ((process.pending_.set() & self.signal_mask) == 0) return;
  InterruptLockGuard table(process_table_lock);
  InterruptLockGuard guard(process.signal_lock_);
  signal_pass_on_locked(process, self, self.signal_mask);
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
    if (action.handler == SignalAction::kDefault && !process.ending_) return begin_death(process, signal);
  }
  ignore_result(signal_send_locked(process, info, &self));  // a fault's information always fits the spare or is dropped
}

// ---------------------------------------------------------------- what the running thread may ask

namespace {
bool is_ending(const Thread& self) {
  const Process& process = self.process();
  return process.ending_ || (process.survivor_ && process.survivor_ != &self);
}
}  // namespace

bool signal_is_pending() {
  Thread& self = running_thread();
  if (self.is_kernel_thread() || !(self.work.load(memory_order_relaxed) & kWorkSignal)) return false;
  Process& process = self.process();
  InterruptLockGuard guard(process.signal_lock_);
  return is_ending(self) || process.stopping_ || (signals_waiting(self) & ~self.signal_mask) != 0;
}

bool fatal_signal_is_pending() {
  Thread& self = running_thread();
  return !self.is_kernel_thread() && is_ending(self);
}

bool sleep_is_interrupted(SleepKind kind) { return kind == SleepKind::kInterruptible ? signal_is_pending() : fatal_signal_is_pending(); }

void signal_set_mask(SignalSet mask) {
  Thread& self = running_thread();
  {
    InterruptLockGuard guard(self.process().signal_lock_);
    self.signal_mask = mask & ~kUnblockable;
    // Of an end or a stop the thread has been told.
    if (signals_waiting(self) & ~self.signal_mask) self.add_work(kWorkSignal);
  }
  signal_pass_on();
}

void signal_set_temporary_mask(SignalSet mask) {
  Thread& self = running_thread();
  if (!(self.work.load(memory_order_relaxed) & kWorkMask)) self.saved_mask = self.signal_mask;
  self.add_work(kWorkMask);
  signal_set_mask(mask);
}

void signal_end_temporary_mask() {
  Thread& self = running_thread();
  self.clear_work(kWorkMask);
  signal_set_mask(self.saved_mask);
}

}  // namespace faultline
