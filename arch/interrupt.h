// Device interrupts. Handlers run with interrupts off, on the kernel stack of whoever was interrupted; they must not sleep.
#pragma once

#include <cstdint>

#include "lib/result.h"

namespace faultline {

enum class InterruptTrigger : uint8_t { kEdgeHigh, kLevelLow };

using InterruptHandler = void (*)(void* context);

// Adds a handler to an ISA interrupt line (0..15) or PCI line as its configuration space says; lines may be shared, every
// handler is called. ACPI's overrides are applied here. Errors: kINVAL, kNOMEM. Boot only.
Result<void> interrupt_install(uint32_t line, InterruptTrigger trigger, InterruptHandler handler, void* context);

// Runs `function` once on every other CPU, from an interrupt there, and waits for all of them.
void cpu_call_others(void (*function)(void* context), void* context);

// Interrupts served so far per line on a CPU, for /proc/interrupts.
uint64_t interrupt_count(uint32_t cpu, uint32_t line);
// Those of its local timer, which has no line: an idle CPU gets only those that somebody waits for.
uint64_t timer_interrupt_count(uint32_t cpu);

}  // namespace faultline
