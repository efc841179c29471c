// The ways a machine ends.
#include "arch/power.h"

#include "arch/cpu.h"
#include "arch/port_io.h"
#include "arch/x86/smp.h"

namespace faultline {

namespace {

// QEMU's isa-debug-exit, where tools/run puts it: ends the emulator with status 2 * value + 1. Elsewhere nothing is there.
constexpr uint16_t kDebugExit = 0xf4;
constexpr uint8_t kFinished = 0x10, kPanic = 0x11;

constexpr uint16_t kKeyboardCommand = 0x64, kResetControl = 0xcf9;
constexpr uint8_t kPulseReset = 0xfe, kFullReset = 0x06;

[[noreturn]] void halt() {
  for (;;) asm volatile("cli; hlt");
}

// ACPI 6.4, 4.8.2.4: firmware hands over by setting bit 0 of the control register, after a while.
void take_power_registers(const MachineTopology& topology) {
  if (port_read16(topology.pm1a_control_port) & 1) return;
  port_write8(topology.acpi_enable_port, topology.acpi_enable_value);
  for (uint32_t looks = 0; looks < 1000000 && !(port_read16(topology.pm1a_control_port) & 1); looks++) machine::relax();
}

}  // namespace

void power_off() {
  asm volatile("cli");
  cpu_stop_others();
  port_write8(kDebugExit, kFinished);
  const MachineTopology& topology = cpu_topology();
  if (topology.acpi_enable_port != 0) take_power_registers(topology);
  if (topology.pm1a_control_port != 0) port_write16(topology.pm1a_control_port, topology.power_off_value_a);
  if (topology.pm1b_control_port != 0) port_write16(topology.pm1b_control_port, topology.power_off_value_b);
  halt();
}

void power_restart() {
  asm volatile("cli");
  cpu_stop_others();
  port_write8(kKeyboardCommand, kPulseReset);
  for (uint32_t i = 0; i < 100000; i++) machine::relax();
  port_write8(kResetControl, kFullReset);
  for (uint32_t i = 0; i < 100000; i++) machine::relax();
  // An exception that cannot be delivered resets every PC.
  struct [[gnu::packed]] {
    uint16_t limit = 0;
    uint32_t base = 0;
  } empty;
  asm volatile("lidt %0; int3" : : "m"(empty));
  halt();
}

void power_panic_exit() {
  port_write8(kDebugExit, kPanic);
  halt();
}

}  // namespace faultline
