// What the firmware says about processors, interrupt controllers and power, in the machine's own words but not ACPI's.
// drivers/acpi fills it in; arch reads it. All empty means: one processor, the 8259 and the 8254.
#pragma once

#include <cstdint>

#include "arch/cpu.h"

namespace faultline {

struct MachineTopology {
  struct IoApic {
    uint32_t address;          // physical
    uint32_t first_interrupt;  // the global number of its pin 0
  };
  // An ISA line that is wired to another global interrupt than its own number, or otherwise than its driver would think.
  enum class Polarity : uint8_t { kAsDriverSays, kActiveHigh, kActiveLow };
  enum class Trigger : uint8_t { kAsDriverSays, kEdge, kLevel };
  struct Override {
    uint8_t isa_line;
    Polarity polarity;
    Trigger trigger;
    uint32_t global_interrupt;
  };
  static constexpr uint32_t kMaxIoApics = 4, kMaxOverrides = 16;

  uint32_t local_apic_address = 0;  // physical; 0: no usable description
  uint32_t cpus = 0;                // enabled processors found, at most kMaxCpus kept
  uint8_t apic_ids[kMaxCpus] = {};
  uint32_t io_apics = 0;
  IoApic io_apic[kMaxIoApics] = {};
  uint32_t overrides = 0;
  Override override_of[kMaxOverrides] = {};

  uint16_t pm_timer_port = 0;  // ACPI's 3.579545 MHz counter, 24 bits used; 0: none
  // Where the firmware must first be told to let go of the power registers, and with which value; port 0: it need not.
  uint16_t acpi_enable_port = 0;
  uint8_t acpi_enable_value = 0;
  // Power-off: the value for SLP_TYP with SLP_EN to PM1a_CNT and, if there is one, PM1b_CNT.
  uint16_t pm1a_control_port = 0, pm1b_control_port = 0;
  uint16_t power_off_value_a = 0, power_off_value_b = 0;

  bool has_apics() const { return local_apic_address != 0 && io_apics != 0 && cpus != 0; }
};

}  // namespace faultline
