// Looks for disks: see block_drivers.h.
#include "drivers/block/block_drivers.h"

#include "drivers/pci.h"

namespace faultline {

namespace {

constexpr uint8_t kMassStorage = 1, kIde = 1;

void probe_ide(const PciDevice& device, void* context) {
  if (device.base_class() != kMassStorage || device.sub_class() != kIde) return;
  *static_cast<bool*>(context) = true;
  ide_probe(&device);
}

}  // namespace

void block_drivers_initialize() {
  pci_for_each([](const PciDevice& device, void*) { virtio_block_probe(device); }, nullptr);
  bool ide_found = false;
  pci_for_each(probe_ide, &ide_found);
  if (!ide_found) ide_probe(nullptr);
}

}  // namespace faultline
