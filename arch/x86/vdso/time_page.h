// The page that the kernel writes and the vDSO's clocks read: what makes times of a reading of the processor's counter.
#pragma once

#include <cstdint>

namespace faultline {

enum class CounterUse : uint32_t {
  kAskKernel,   // it does not tell the time: make the system call
  kAsItIs,      // rdtsc
  kAfterFence,  // rdtsc, which the processor would otherwise read before what comes ahead of it
};

// Readers take the words while `sequence` is even and look again whether it is the same: a writer makes it odd, writes, and makes it even.
struct TimePage {
  uint32_t sequence;
  CounterUse counter;
  uint64_t start;      // the counter at time 0 of the monotonic clock
  uint32_t rate;       // clock_scaled()
  uint32_t doublings;  // of the counter's reading, before it is scaled
  uint64_t wall;       // nanoseconds since 1970 at time 0 of the monotonic clock
};
static_assert(sizeof(TimePage) == 32);

}  // namespace faultline
