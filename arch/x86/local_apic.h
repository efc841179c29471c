// The local APIC of each processor (SDM volume 3, chapter 11): inter-processor interrupts, its timer, the end of interrupts.
#pragma once

#include <cstdint>

namespace faultline {

// Maps the registers, which all CPUs see at the same address. Boot only.
void local_apic_map(uint32_t physical_address);
bool local_apic_is_used();
// Enables this CPU's own. Interrupts off.
void local_apic_initialize();
uint32_t local_apic_id();
void local_apic_end_of_interrupt();

// Interrupts the CPU with this APIC identifier. Any context.
void local_apic_send(uint32_t apic_id, uint32_t vector);
void local_apic_send_nmi(uint32_t apic_id);
void local_apic_send_init(uint32_t apic_id);
// `page`: number of the page below 1 MiB in which it starts.
void local_apic_send_startup(uint32_t apic_id, uint32_t page);

// One shot of the timer after `ticks` of the bus clock; 0 stops it. local_apic_timer_left() counts down.
void local_apic_timer_start(uint32_t ticks);
uint32_t local_apic_timer_left();

}  // namespace faultline
