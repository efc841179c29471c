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
  CaughtSignal signal;  // with the mask from before, also if it is not caught
  uint32_t continues;
};

enum class Next : uint8_t { kNothing, kEnd, kStop, kDefault, kIgnored, kCaught };

// The handler's mask begins. Nothing is left to be done if that keeps out all that waits.
void begin_handler_locked(Thread& self, Signal signal, const CaughtSignal& caught) {
  SignalSet mask = caught.mask | caught.action.mask;
  if (!(caught.action.flags & SignalAction::kNoDefer)) mask |= signal_bit(signal);
  self.signal_mask = mask;
  if ((signals_waiting(self) & ~mask) == 0) self.clear_work(kWorkSignal);
}

Next take_next(Thread& self, Process& process, TakenSignal& taken) {
  InterruptLockGuard guard(process.signal_lock_);
  if (process.ending_ || (process.survivor_ && process.survivor_ != &self)) return Next::kEnd;
  if (process.stopping_) return Next::kStop;
  CaughtSignal& caught = taken.signal;
  caught.mask = self.signal_mask;
  SignalSet wanted = ~caught.mask;
  PendingSignals& pending = self.pending.set() & wanted ? self.pending : process.pending_;
  Signal signal = pending.first_of(wanted);
  if (signal == Signal::kNone) {
    self.clear_work(kWorkSignal);
    return Next::kNothing;
  }
  pending.take(signal, caught.info);
  taken.continues = process.continues_;
  caught.action = process.handlers_->action(signal);
  if (caught.action.handler == SignalAction::kDefault) return Next::kDefault;
  if (caught.action.handler == SignalAction::kIgnore) return Next::kIgnored;
  if (caught.action.flags & SignalAction::kResetHand) process.handlers_->action(signal).handler = SignalAction::kDefault;
  begin_handler_locked(self, signal, caught);
  return Next::kCaught;
}

void run_handler(TrapFrame& frame, Thread& self, CaughtSignal& caught) {
  signal_pass_on();
  uint32_t work = self.work.load(memory_order_relaxed);
  if (work & kWorkRestart) end_interrupted_call(frame, &caught.action);
  SignalSet mask_before = caught.mask;
  if (work & kWorkMask) caught.mask = self.saved_mask;
  if (signal_frame_push(frame, caught)) {
    if (work & kWorkMask) self.clear_work(kWorkMask);
    return;
  }
  // No stack to tell it on: the program dies of it, even if it would catch SIGSEGV.
  signal_set_mask(mask_before);
  if (static_cast<Signal>(caught.info.number) == Signal::kSegmentation) {
    InterruptLockGuard guard(self.process().signal_lock_);
    self.process().handlers_->action(Signal::kSegmentation).handler = SignalAction::kDefault;
  }
  signal_force(signal_info_of_fault(Signal::kSegmentation, kCodeKernel, 0));
}

void run_default(Process& process, const TakenSignal& taken) {
  auto signal = static_cast<Signal>(taken.signal.info.number);
  SignalDefault action = signal_default(signal);
  if (action == SignalDefault::kIgnore || process.pid() == 1) return;
  if (action == SignalDefault::kStop)
    begin_stop(process, signal, taken.continues);
  else
    process_begin_exit(static_cast<uint32_t>(signal));
}

}  // namespace

void signals_deliver(TrapFrame& frame) {
  Thread& self = running_thread();
  Process& process = self.process();
  TakenSignal taken;
  while (self.work.load(memory_order_relaxed) & kWorkSignal) {
    switch (take_next(self, process, taken)) {
      case Next::kEnd: thread_exit();
      case Next::kStop: stay_stopped(process); break;
      case Next::kCaught: run_handler(frame, self, taken.signal); break;
      case Next::kDefault: run_default(process, taken); break;
      case Next::kIgnored:
      case Next::kNothing: break;
    }
  }
  uint32_t work = self.work.load(memory_order_relaxed);
  if (work & kWorkRestart) end_interrupted_call(frame, nullptr);
  if (work & kWorkMask) signal_end_temporary_mask();
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
