// Redirection entries of the I/O APICs, with ACPI's interrupt source overrides applied.
#include "arch/x86/io_apic.h"

#include "arch/mmu.h"

namespace faultline {

namespace {

constexpr uint32_t kVersionRegister = 1, kFirstEntry = 0x10, kActiveLow = 1u << 13, kLevel = 1u << 15, kMasked = 1u << 16;

struct IoApic {
  volatile uint32_t* registers;  // [0] selects, [4] is the window
  uint32_t first_interrupt, pins;

  uint32_t read(uint32_t index) const {
    registers[0] = index;
    return registers[4];
  }
  void write(uint32_t index, uint32_t value) const {
    registers[0] = index;
    registers[4] = value;
  }
  // The high half holds the destination; masked while it changes.
  void set_entry(uint32_t pin, uint32_t low, uint32_t apic_id) const {
    write(kFirstEntry + 2 * pin, kMasked);
    write(kFirstEntry + 2 * pin + 1, apic_id << 24);
    write(kFirstEntry + 2 * pin, low);
  }
};

// Written at boot, by the boot processor alone.
constinit IoApic io_apics[MachineTopology::kMaxIoApics] = {};
constinit uint32_t io_apic_count = 0;
constinit MachineTopology::Override overrides[MachineTopology::kMaxOverrides] = {};
constinit uint32_t override_count = 0;

const MachineTopology::Override* override_of(uint32_t line) {
  for (uint32_t i = 0; i < override_count; i++)
    if (overrides[i].isa_line == line) return &overrides[i];
  return nullptr;
}

}  // namespace

void io_apics_initialize(const MachineTopology& topology) {
  for (uint32_t i = 0; i < topology.io_apics; i++) {
    auto* registers = static_cast<volatile uint32_t*>(mmu_map_device(PhysAddr(topology.io_apic[i].address), kPageSize));
    if (!registers) continue;
    IoApic& io_apic = io_apics[io_apic_count++];
    io_apic = {registers, topology.io_apic[i].first_interrupt, 0};
    io_apic.pins = (io_apic.read(kVersionRegister) >> 16 & 0xff) + 1;
    for (uint32_t pin = 0; pin < io_apic.pins; pin++) io_apic.set_entry(pin, kMasked, 0);
  }
  override_count = topology.overrides;
  for (uint32_t i = 0; i < override_count; i++) overrides[i] = topology.override_of[i];
}

bool io_apics_are_used() { return io_apic_count != 0; }

uint32_t io_apic_global_interrupt(uint32_t line) {
  const MachineTopology::Override* exception = override_of(line);
  return exception ? exception->global_interrupt : line;
}

bool io_apic_route(uint32_t line, InterruptTrigger trigger, uint32_t vector, uint32_t apic_id) {
  uint32_t low = vector | (trigger == InterruptTrigger::kLevelLow ? kLevel | kActiveLow : 0);
  if (const MachineTopology::Override* exception = override_of(line)) {
    using Polarity = MachineTopology::Polarity;
    using Trigger = MachineTopology::Trigger;
    if (exception->polarity != Polarity::kAsDriverSays)
      low = (low & ~kActiveLow) | (exception->polarity == Polarity::kActiveLow ? kActiveLow : 0);
    if (exception->trigger != Trigger::kAsDriverSays) low = (low & ~kLevel) | (exception->trigger == Trigger::kLevel ? kLevel : 0);
  }
  uint32_t interrupt = io_apic_global_interrupt(line);
  for (uint32_t i = 0; i < io_apic_count; i++) {
    const IoApic& io_apic = io_apics[i];
    if (interrupt < io_apic.first_interrupt || interrupt - io_apic.first_interrupt >= io_apic.pins) continue;
    io_apic.set_entry(interrupt - io_apic.first_interrupt, low, apic_id);
    return true;
  }
  return false;
}

}  // namespace faultline
