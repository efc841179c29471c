// Exceptions: page faults become pages, signals, or the report of our own bug; the rest become signals. The decision tree is
// architecture.md's; the fault itself is mm's (AddressSpace::handle_fault).
#include "arch/clock.h"
#include "arch/context.h"
#include "arch/power.h"
#include "kernel/fault_watch.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "lib/log.h"
#include "mm/space.h"

namespace faultline {

namespace {

constexpr uint32_t kInterruptFlag = 0x200;

// Does the program want to see this signal, or does it die of it?
bool is_caught(Signal signal) {
  Thread& self = running_thread();
  Process& process = self.process();
  InterruptLockGuard guard(process.signal_lock_);
  uint32_t handler = process.handlers_->action(signal).handler;
  return handler != SignalAction::kDefault && handler != SignalAction::kIgnore && !(self.signal_mask & signal_bit(signal));
}

// A program's fault: its handler gets a signal, or it dies with the line that lectures C2 show (xv6: trap()).
void fault_signal(const TrapFrame& frame, Signal signal, int32_t code, uint32_t address) {
  if (!is_caught(signal)) {
    const Process& process = current_process();
    log(LogLevel::kNotice, "pid {} {}: trap {} err {} on cpu {} eip 0x{x} addr 0x{x}--kill proc", process.pid(), process.name(),
        frame.vector, frame.error, this_cpu(), frame.eip, address);
  }
  signal_force(signal_info_of_fault(signal, code, address));
}

// Whether a fault of the kernel's own may be resolved: it touches user memory only in its copy routines, with interrupts on and no
// spin lock held.
bool is_user_copy(const TrapFrame& frame) {
  Thread& self = running_thread();
  return !self.is_kernel_thread() && self.space && (frame.eflags & kInterruptFlag) && machine::preemption_depth() == 0;
}

// Nothing can be mapped there.
void kernel_address_fault(TrapFrame& frame, VirtAddr address) {
  machine::interrupts_enable();
  if (fault_is_watched()) fault_refused_watched(frame, address);
  fault_signal(frame, Signal::kSegmentation, kCodeMapError + ((frame.error & kFaultProtection) ? 1 : 0), address.value());
}

void unresolved_fault(TrapFrame& frame, VirtAddr address, FaultOutcome outcome) {
  if (!frame.from_user()) {
    if (!trap_fix_up(frame)) panic_trap(frame, "page fault in the kernel");
    return;
  }
  switch (outcome) {
    case FaultOutcome::kNotMapped: return fault_signal(frame, Signal::kSegmentation, kCodeMapError, address.value());
    case FaultOutcome::kNotAllowed: return fault_signal(frame, Signal::kSegmentation, kCodeAccessError, address.value());
    case FaultOutcome::kBusError: return fault_signal(frame, Signal::kBus, kCodeBusAddress, address.value());
    default: break;
  }
  // Whoever the killer chose ends anyway; nobody else was left to choose.
  signal_force(signal_info_from_kernel(Signal::kKill));
}

// The most telling of several, as Linux chooses.
int32_t float_code(uint32_t exceptions) {
  if (exceptions & 1) return kCodeFloatInvalid;
  if (exceptions & 4) return kCodeFloatDivide;
  if (exceptions & 8) return kCodeFloatOverflow;
  if (exceptions & (2 | 16)) return kCodeFloatUnderflow;
  return exceptions & 32 ? kCodeFloatInexact : kCodeKernel;
}

struct ExceptionSignal {
  Signal signal;
  int32_t code;
};

// SDM volume 3, table 6-1; codes as sigaction(2).
ExceptionSignal signal_of(uint32_t vector) {
  switch (vector) {
    case 0: return {Signal::kFloat, kCodeDivide};
    case 1: return {Signal::kTrap, kCodeTrace};
    case 3: return {Signal::kTrap, kCodeKernel};
    case 4:
    case 5: return {Signal::kSegmentation, kCodeKernel};
    case 6: return {Signal::kIllegal, kCodeIllegalOpcode + 1};
    case 11:
    case 12: return {Signal::kBus, kCodeKernel};
    case 16:
    case 19: return {Signal::kFloat, float_code(float_exceptions(vector))};
    case 17: return {Signal::kBus, kCodeBusAlignment};
    default: return {Signal::kSegmentation, kCodeKernel};
  }
}

}  // namespace

extern "C" void page_fault_dispatch(TrapFrame* frame, VirtAddr address) {
  if (!address.is_user() && frame->from_user()) return kernel_address_fault(*frame, address);
  bool may_resolve = frame->from_user() || (address.is_user() && is_user_copy(*frame));
  if (!may_resolve) [[unlikely]]
    return unresolved_fault(*frame, address, FaultOutcome::kNotMapped);
  machine::interrupts_enable();
  Thread& self = running_thread();
  Access access = frame->error & kFaultWrite ? Access::kWrite : Access::kRead;
  FaultOutcome outcome;
  if (self.fault_watch.load(memory_order_relaxed)) [[unlikely]]
    outcome = fault_handle_watched(*frame, address, access);
  else
    outcome = self.space->handle_fault(address, access);
  if (outcome != FaultOutcome::kResolved) [[unlikely]]
    unresolved_fault(*frame, address, outcome);
}

extern "C" void trap_dispatch(TrapFrame* frame) {
  if (!frame->from_user()) {
    if (!trap_fix_up(*frame)) panic_trap(*frame, "exception in the kernel");
    return;
  }
  machine::interrupts_enable();
  ExceptionSignal what = signal_of(frame->vector);
  fault_signal(*frame, what.signal, what.code, what.code == kCodeKernel ? 0 : frame->eip);
}

}  // namespace faultline
