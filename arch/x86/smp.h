// The set of running processors, and the interrupts between them, for arch/x86 only.
#pragma once

#include <cstdint>

#include "arch/cpu.h"
#include "arch/topology.h"

namespace faultline {

void cpu_topology_set(const MachineTopology& topology);
const MachineTopology& cpu_topology();

// The CPUs that have started and have not been stopped.
CpuMask cpu_online_mask();

// Raises `vector` on a CPU that is online. Any context.
void cpu_interrupt(uint32_t cpu, uint32_t vector);

// What other CPUs ask by interrupt: VECTOR_CALL, and the NMI that stops this one.
void cpu_serve_call();
void cpu_stop_if_asked();

}  // namespace faultline
