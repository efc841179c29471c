// The way back to user mode: signals are taken here, in the thread that they are for, and nowhere else.
#include "kernel/job_control.h"
#include "kernel/process.h"
#include "kernel/scheduler.h"
#include "kernel/signal.h"
#include "kernel/signal_internal.h"

namespace faultline {

namespace {

// Stops the process because of `signal`, unless a SIGCONT came after it was taken.
void begin_stop(Process& process, Signal signal, uint32_t continues_before) {
  InterruptLockGuard table(process_table_lock);
  if (signal != Signal::kStop && process_group_is_orphaned_locked(process.group_)) return;
  {
    InterruptLockGuard guard(process.signal_lock_);
    if (process.continues_ != continues_before || process.ending_) return;
    process.stopping_ = true;
    process.state_ = ProcessState::kStopped;
    for (Thread& thread : process.threads_)
      if (&thread != &running_thread()) signal_notify(thread);
  }
  child_report_locked(process, kCodeStopped, static_cast<uint32_t>(signal));
}

void stay_stopped(Process& process) {
  while (process.stopping_ && !fatal_signal_is_pending()) ignore_result(block(SleepKind::kKillable));  // the loop asks again
}

// What a restart code in eax becomes: the call again (eip stands behind a two-byte instruction), or kINTR.
void end_interrupted_call(TrapFrame& frame, const SignalAction* handler) {
  Thread& self = running_thread();
  if (!(self.work.load(memory_order_relaxed) & kWorkRestart)) return;
  self.clear_work(kWorkRestart);
  auto code = static_cast<Errno>(-frame.eax);
  bool restarts = code == Errno::kRESTARTNOINTR || (code == Errno::kRESTARTSYS && handler && (handler->flags & SignalAction::kRestart));
  if (handler && !restarts) {
    self.restart_deadline = 0;
    frame.eax = -static_cast<uint32_t>(Errno::kINTR);
    return;
  }
  frame.eax = frame.error;
  frame.eip -= 2;
}

struct TakenSignal {
  SignalInfo info;
  SignalAction action;
  uint32_t continues;
};

enum class Next : uint8_t { kNothing, kEnd, kStop, kTaken };

Next take_next(Thread& self, Process& process, TakenSignal& taken) {
  InterruptLockGuard guard(process.signal_lock_);
  if (process.ending_ || (process.survivor_ && process.survivor_ != &self)) return Next::kEnd;
  if (process.stopping_) return Next::kStop;
  SignalSet wanted = ~self.signal_mask | kUnblockable;
  if (!self.pending.take(wanted, taken.info) && !process.pending_.take(wanted, taken.info)) {
    self.clear_work(kWorkSignal);
    return Next::kNothing;
  }
  taken.continues = process.continues_;
  SignalAction& action = process.handlers_->action(static_cast<Signal>(taken.info.number));
  taken.action = action;
  bool is_caught = action.handler != SignalAction::kDefault && action.handler != SignalAction::kIgnore;
  if (is_caught && (action.flags & SignalAction::kResetHand)) action.handler = SignalAction::kDefault;
  return Next::kTaken;
}

void run_handler(TrapFrame& frame, Thread& self, const TakenSignal& taken) {
  end_interrupted_call(frame, &taken.action);
  bool temporary = self.work.load(memory_order_relaxed) & kWorkMask;
  SignalSet saved = temporary ? self.saved_mask : self.signal_mask;
  if (!signal_frame_push(frame, taken.action, taken.info, saved)) {
    // No stack to tell it on: the program dies of it, even if it would catch SIGSEGV.
    if (static_cast<Signal>(taken.info.number) == Signal::kSegmentation) {
      InterruptLockGuard guard(self.process().signal_lock_);
      self.process().handlers_->action(Signal::kSegmentation).handler = SignalAction::kDefault;
    }
    signal_force(signal_info_of_fault(Signal::kSegmentation, kCodeKernel, 0));
    return;
  }
  self.clear_work(kWorkMask);
  SignalSet mask = self.signal_mask | taken.action.mask;
  if (!(taken.action.flags & SignalAction::kNoDefer)) mask |= signal_bit(static_cast<Signal>(taken.info.number));
  signal_set_mask(mask);
}

}  // namespace

void signals_deliver(TrapFrame& frame) {
  Thread& self = running_thread();
  Process& process = self.process();
  TakenSignal taken;
  for (;;) {
    Next next = take_next(self, process, taken);
    if (next == Next::kNothing) break;
    if (next == Next::kEnd) thread_exit();
    if (next == Next::kStop) {
      stay_stopped(process);
      continue;
    }
    auto signal = static_cast<Signal>(taken.info.number);
    if (taken.action.handler == SignalAction::kIgnore) continue;
    if (taken.action.handler != SignalAction::kDefault) {
      run_handler(frame, self, taken);
      continue;
    }
    SignalDefault action = signal_default(signal);
    if (action == SignalDefault::kIgnore || process.pid() == 1) continue;
    if (action == SignalDefault::kStop)
      begin_stop(process, signal, taken.continues);
    else
      process_begin_exit(static_cast<uint32_t>(signal));
  }
  end_interrupted_call(frame, nullptr);
  if (self.work.load(memory_order_relaxed) & kWorkMask) {
    self.clear_work(kWorkMask);
    signal_set_mask(self.saved_mask);
  }
}

extern "C" void return_to_user_work(TrapFrame* frame) {
  if (machine::need_reschedule()) machine::preempt_interrupted();
  machine::interrupts_enable();
  Thread& self = running_thread();
  uint32_t work = self.work.load(memory_order_relaxed);
  if (work & kWorkFrame) self.clear_work(kWorkFrame);
  if (work & kWorkMove) [[unlikely]]
    scheduler_move_self();
  if (work & ~(kWorkMove | kWorkFrame)) signals_deliver(*frame);
  (void)machine::interrupts_save_and_disable();
}

}  // namespace faultline
