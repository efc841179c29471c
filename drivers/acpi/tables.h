// The layouts of ACPI's tables (ACPI specification 6.4, section 5.2) that acpi.cpp reads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace faultline {

struct [[gnu::packed]] AcpiRootPointer {
  char signature[8];  // "RSD PTR "
  uint8_t checksum;
  char oem[6];
  uint8_t revision;
  uint32_t root_table;
};
static_assert(sizeof(AcpiRootPointer) == 20);

struct [[gnu::packed]] AcpiHeader {
  char signature[4];
  uint32_t bytes;  // the whole table
  uint8_t revision, checksum;
  char oem[6], oem_table[8];
  uint32_t oem_revision, creator, creator_revision;
};
static_assert(sizeof(AcpiHeader) == 36);

struct [[gnu::packed]] AcpiFixedDescription {
  AcpiHeader header;
  uint32_t firmware_control, definition_block;
  uint8_t reserved, profile;
  uint16_t interrupt;
  uint32_t command_port;
  uint8_t enable_value, disable_value, s4_value, pstate_value;
  uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer;
};
static_assert(offsetof(AcpiFixedDescription, definition_block) == 40 && offsetof(AcpiFixedDescription, command_port) == 48);
static_assert(offsetof(AcpiFixedDescription, pm1a_control) == 64 && offsetof(AcpiFixedDescription, pm_timer) == 76);

struct [[gnu::packed]] AcpiInterruptDescription {
  AcpiHeader header;
  uint32_t local_apic_address, flags;
  // Entries follow: type, length, data.
};
static_assert(sizeof(AcpiInterruptDescription) == 44);

inline constexpr uint8_t kMadtLocalApic = 0, kMadtIoApic = 1, kMadtOverride = 2;

struct [[gnu::packed]] MadtLocalApic {
  uint8_t type, length, processor, apic_id;
  uint32_t flags;  // bit 0: enabled
};
struct [[gnu::packed]] MadtIoApic {
  uint8_t type, length, id, reserved;
  uint32_t address, first_interrupt;
};
struct [[gnu::packed]] MadtOverride {
  uint8_t type, length, bus, isa_line;
  uint32_t global_interrupt;
  uint16_t flags;  // bits 0-1 polarity, 2-3 trigger: 0 as the bus, 1 high / edge, 3 low / level
};
static_assert(sizeof(MadtLocalApic) == 8 && sizeof(MadtIoApic) == 12 && sizeof(MadtOverride) == 10);

}  // namespace faultline
