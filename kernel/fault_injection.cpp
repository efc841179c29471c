// See fault_injection.h.
#include "kernel/fault_injection.h"

#include <machine/planted_bugs.h>

#include "kernel/thread.h"

namespace faultline {

namespace machine {

constinit Atomic<uint32_t> fault_injections{0};

bool fault_injection_strikes() {
  Thread& self = running_thread();
  FaultInjection& wish = self.injection;
  // Not in a fault of the program's own: there is no call that could say so, it would be killed.
  if (wish.failures != 0 && !self.frame().is_system_call()) return false;
  if (wish.failures == 0 || (wish.countdown != 0 && --wish.countdown != 0)) return false;
  if (--wish.failures == 0) fault_injections.fetch_sub(1, memory_order_relaxed);
  return true;
}

}  // namespace machine

void fault_injection_stop(Thread& thread) {
  if (thread.injection.failures == 0) return;
  thread.injection.failures = 0;
  machine::fault_injections.fetch_sub(1, memory_order_relaxed);
}

void fault_injection_arm(uint32_t nth, uint32_t failures) {
  Thread& self = running_thread();
  fault_injection_stop(self);
  self.injection = {nth, nth == 0 ? 0 : failures};
  if (self.injection.failures != 0) machine::fault_injections.fetch_add(1, memory_order_relaxed);
}

}  // namespace faultline
