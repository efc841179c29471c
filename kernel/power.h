// The end of the machine in order: everything written back, file systems unmounted, then arch/power.h.
#pragma once

#include <cstdint>

namespace faultline {

enum class PowerAction : uint8_t { kOff, kRestart, kHalt };

// Kills what runs, writes everything back and ends the machine. Thread context; sleeps.
[[noreturn]] void power_down(PowerAction action);
// Process 1 has ended with this wait(2) status: says so, and powers off.
[[noreturn]] void power_off_after_init(uint32_t status);

}  // namespace faultline
