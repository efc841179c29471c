// PCI devices by configuration mechanism #1 (ports 0xCF8 and 0xCFC; PCI Local Bus Specification 3.0, 3.2.2.3.2). Boot only, one CPU.
#pragma once

#include <cstdint>

#include "lib/address.h"

namespace faultline {

class PciDevice {
 public:
  static constexpr uint32_t kBars = 6;

  PciDevice(uint32_t bus, uint32_t device, uint32_t function) : address_(0x80000000u | bus << 16 | device << 11 | function << 8) {}

  bool is_present() const { return vendor() != 0xffff; }
  uint16_t vendor() const { return static_cast<uint16_t>(read(0)); }
  uint16_t device() const { return static_cast<uint16_t>(read(0) >> 16); }
  uint16_t subsystem() const { return static_cast<uint16_t>(read(0x2c) >> 16); }
  uint8_t base_class() const { return static_cast<uint8_t>(read(0x08) >> 24); }
  uint8_t sub_class() const { return static_cast<uint8_t>(read(0x08) >> 16); }
  uint8_t programming_interface() const { return static_cast<uint8_t>(read(0x08) >> 8); }
  uint8_t header_type() const { return static_cast<uint8_t>(read(0x0c) >> 16); }
  uint8_t secondary_bus() const { return static_cast<uint8_t>(read(0x18) >> 8); }  // of a bridge
  // The line for interrupt_install, or 0xff: none.
  uint8_t interrupt_line() const { return static_cast<uint8_t>(read(0x3c)); }

  // The base of a port range, or 0 if that register is not one.
  uint16_t io_base(uint32_t bar) const;
  // The base of a memory range below 4 GiB, or 0.
  PhysAddr memory_base(uint32_t bar) const;

  // Lets it decode its ranges and, as bus master, reach memory.
  void enable() const;

  uint32_t read(uint32_t offset) const;
  void write(uint32_t offset, uint32_t value) const;

 private:
  uint32_t address_;
};

// Calls `visit` for every function of every device behind the first host bridge.
void pci_for_each(void (*visit)(const PciDevice& device, void* context), void* context);

}  // namespace faultline
