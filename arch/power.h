// The end of the machine: power-off, restart, and the exit that tools/run can tell from a hang.
#pragma once

namespace faultline {

// Tells a waiting emulator that the kernel ended as asked (isa-debug-exit), then turns the power off by ACPI S5, then halts for
// good. File systems are the caller's business. Other CPUs should have been stopped.
[[noreturn]] void power_off();

// Restarts the machine (keyboard controller, then a triple fault).
[[noreturn]] void power_restart();

// The end of panic(): tells a waiting emulator, then halts for good.
[[noreturn]] void power_panic_exit();

}  // namespace faultline
