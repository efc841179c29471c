// Time: a monotonic clock, one one-shot timer per CPU, the wall clock at boot.
#pragma once

#include <cstdint>

#include <machine/cpu_inline.h>

namespace faultline {

// Nanoseconds since boot; never goes back, the same on all CPUs. Any context.
uint64_t clock_monotonic();

// The processor's cycle counter; under QEMU's -icount shift=0 it counts guest instructions.
inline uint64_t clock_cycles() { return machine::cycles(); }
// How many thousand of them in a second.
uint32_t clock_cycles_kilohertz();
// How long so many of them take, and how many there are in so many nanoseconds (minutes at most).
uint64_t clock_nanoseconds_of(uint64_t cycles);
uint64_t clock_cycles_of(uint64_t nanoseconds);

// Seconds since 1970 UTC, read from the battery clock at boot; wall time is this plus clock_monotonic() (and what
// settimeofday adds, which is the kernel's business).
uint64_t clock_boot_wall_seconds();

// Arms this CPU's timer to call kernel_timer_interrupt() at `nanoseconds` of the monotonic clock or soon after; the last call
// wins; ~0 disarms. Interrupts off.
void clock_arm(uint64_t nanoseconds);

}  // namespace faultline
