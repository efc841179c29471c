// This CPU's one-shot timer: the local APIC's, or the 8254 where there is none.
#pragma once

#include <cstdint>

namespace faultline {

// Tells what clock_initialize() measured: ticks of the local APIC's timer in a nanosecond, times 2^24.
void timer_initialize(uint32_t local_apic_ticks_per_nanosecond_24);
void timer_interrupt();

}  // namespace faultline
