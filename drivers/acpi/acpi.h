// ACPI's static tables: which processors and interrupt controllers there are, and how the power is switched off.
#pragma once

#include "arch/topology.h"
#include "lib/address.h"

namespace faultline {

// Reads the tables; what is missing or damaged is left out, so the answer may be empty. `direct_map_end`: RAM below it
// is mapped. Boot only, before other CPUs run.
MachineTopology acpi_describe_machine(FrameNumber direct_map_end);

}  // namespace faultline
