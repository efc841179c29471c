// The disks we have drivers for. Each becomes a BlockDevice that is registered with its partitions.
#pragma once

#include "drivers/pci.h"
#include "lib/address.h"

namespace faultline {

// Finds virtio and IDE disks, in this order. In a thread that may sleep, interrupts on. What fails is logged and left out.
void block_drivers_initialize();

// A disk that lies in memory (a module of the boot loader), used in place and for ever: ram0, ram1.
void ramdisk_register(PhysAddr start, uint32_t bytes);

// One driver's probe of one PCI function; nothing happens if it is not for it.
void virtio_block_probe(const PciDevice& device);
// The two channels of an IDE controller; without one (null), at the ports that PCs have always had.
void ide_probe(const PciDevice* controller);

}  // namespace faultline
