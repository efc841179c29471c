// PCI configuration space and the walk over buses: see pci.h.
#include "drivers/pci.h"

#include "arch/port_io.h"

namespace faultline {

namespace {

constexpr uint16_t kAddressPort = 0xcf8, kDataPort = 0xcfc;
constexpr uint32_t kCommand = 0x04, kFirstBar = 0x10;
constexpr uint32_t kDecodeIo = 1, kDecodeMemory = 2, kBusMaster = 4, kInterruptDisable = 1u << 10;
constexpr uint8_t kMultiFunction = 0x80, kBridge = 1;
constexpr uint32_t kMaxDepth = 8;

void walk_bus(uint32_t bus, uint32_t depth, void (*visit)(const PciDevice&, void*), void* context) {
  for (uint32_t device = 0; device < 32; device++) {
    PciDevice first(bus, device, 0);
    if (!first.is_present()) continue;
    uint32_t functions = first.header_type() & kMultiFunction ? 8 : 1;
    for (uint32_t function = 0; function < functions; function++) {
      PciDevice found(bus, device, function);
      if (!found.is_present()) continue;
      bool is_bridge = (found.header_type() & 0x7f) == kBridge;
      if (!is_bridge)
        visit(found, context);
      else if (depth < kMaxDepth && found.secondary_bus() > bus)
        walk_bus(found.secondary_bus(), depth + 1, visit, context);
    }
  }
}

}  // namespace

uint32_t PciDevice::read(uint32_t offset) const {
  port_write32(kAddressPort, address_ | (offset & 0xfc));
  return port_read32(kDataPort);
}

void PciDevice::write(uint32_t offset, uint32_t value) const {
  port_write32(kAddressPort, address_ | (offset & 0xfc));
  port_write32(kDataPort, value);
}

uint16_t PciDevice::io_base(uint32_t bar) const {
  uint32_t value = read(kFirstBar + 4 * bar);
  return value & 1 ? static_cast<uint16_t>(value & ~3u) : 0;
}

PhysAddr PciDevice::memory_base(uint32_t bar) const {
  uint32_t value = read(kFirstBar + 4 * bar);
  bool is_64_bit = (value & 6) == 4;
  if ((value & 1) || (is_64_bit && read(kFirstBar + 4 * bar + 4) != 0)) return PhysAddr(0);
  return PhysAddr(value & ~15u);
}

void PciDevice::enable() const {
  uint32_t command = read(kCommand) & 0xffff & ~kInterruptDisable;  // the upper half is status, cleared by ones
  write(kCommand, command | kDecodeIo | kDecodeMemory | kBusMaster);
}

void pci_for_each(void (*visit)(const PciDevice& device, void* context), void* context) {
  port_write32(kAddressPort, 0x80000000u);
  if (port_read32(kAddressPort) == 0x80000000u) walk_bus(0, 0, visit, context);
}

}  // namespace faultline
