// Allocations that fail on request, to walk every way out of a call that runs out of memory. A thread asks for the N-th allocation of frames or
// slab memory within its system calls to fail, as with Linux's fault injection: /proc/self/fail-nth (docs/fault-injection.md).
//
// While nobody asks, an allocation pays for one load and one branch (machine::allocation_fails()).
#pragma once

#include <cstdint>

namespace faultline {

class Thread;

// What a thread asked for. Its own, so no lock.
struct FaultInjection {
  uint32_t countdown = 0;  // the N-th allocation from now on fails; 0: one has failed, or nothing was asked for
  uint32_t failures = 0;   // how many in a row are still to fail; 0: none, the countdown stands still
};

// Lets the running thread's `nth` allocation (from 1) fail, and the ones after it, `failures` in all; nth 0: none.
void fault_injection_arm(uint32_t nth, uint32_t failures);
// No allocation of `thread` fails any more; what is left of its countdown can still be read. For execs that succeed and threads that end.
void fault_injection_stop(Thread& thread);

}  // namespace faultline
