// The I/O APICs, which carry device interrupts to local APICs (Intel data sheet 290566).
#pragma once

#include <cstdint>

#include "arch/interrupt.h"
#include "arch/topology.h"

namespace faultline {

// Maps them all and masks every pin. Boot only.
void io_apics_initialize(const MachineTopology& topology);
bool io_apics_are_used();
// The global interrupt that an ISA or PCI line is wired to.
uint32_t io_apic_global_interrupt(uint32_t line);
// Sends that line's interrupts to the CPU with this APIC identifier as `vector`. False if no IOAPIC has such a pin.
bool io_apic_route(uint32_t line, InterruptTrigger trigger, uint32_t vector, uint32_t apic_id);

}  // namespace faultline
