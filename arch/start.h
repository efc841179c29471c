// The steps in which kernel/main.cpp brings the machine up, in this order. Each is called once, on the boot processor, but for
// the last group.
#pragma once

#include <cstdint>
#include <span>

#include "arch/cpu.h"
#include "arch/topology.h"
#include "lib/address.h"

namespace faultline {

// Where tables that must exist before mm come from: zeroed or not, contiguous, inside the direct map, kept for ever.
// Never fails: too little memory is reported by the one who implements it.
using BootFrameSource = FrameNumber (*)(uint32_t frames);

// From here on an exception is reported rather than a reset of the machine. Needs nothing; the very first call.
void traps_initialize();

// Builds the kernel's half of all page directories, with every table it will ever have: read-only code, the direct map up to
// `memory_end` frames, kernel stacks in proportion to it, devices. Drops the identity map and with it the null page.
void mmu_initialize(FrameNumber memory_end, BootFrameSource source);

// Sets up the interrupt controllers that `topology` names, else the 8259; then the clock, whose rate is measured in less than
// 20 ms, and this CPU's timer. Interrupts stay off.
void interrupts_initialize(const MachineTopology& topology);
void clock_initialize();

// How many processors the machine has that could run, this one included.
uint32_t cpu_present_count();

// Starts the others, up to `limit` in all, each on a stack from `stack_source` (its top; null: that CPU stays off). Each calls
// kernel_cpu_start() with interrupts off. Returns when all have reported. Interrupts may be off.
void cpu_start_others(uint32_t limit, void* (*stack_source)());

// Preemption starts out disabled, once, on every CPU: the scheduler enables it with its first switch.

// kernel/ implements it: the life of a processor other than the first; this_cpu() is valid, interrupts are off.
[[noreturn]] void kernel_cpu_start();

}  // namespace faultline
