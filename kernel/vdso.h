// The vDSO's pages in programs' memory; what is in them is arch/vdso.h's.
#pragma once

#include "lib/result.h"

namespace faultline {

class AddressSpace;

// Boot, before the first program.
void vdso_initialize();
// Maps both pages into a new program's space. kNOMEM.
Result<void> vdso_map(AddressSpace& space);

}  // namespace faultline
