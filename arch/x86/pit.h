// The 8254 interval timer: channel 0 interrupts where there is no local APIC, channel 2 measures other clocks.
#pragma once

#include <cstdint>

namespace faultline {

inline constexpr uint32_t kPitFrequency = 1193182;  // Hz
inline constexpr uint32_t kPitLine = 0;

// Interrupts on its line after `ticks` (1..65535), once.
void pit_start_once(uint32_t ticks);

// Starts channel 2; from then on pit_elapsed_count() counts up modulo 2^16.
void pit_start_counter();
uint32_t pit_elapsed_count();

}  // namespace faultline
