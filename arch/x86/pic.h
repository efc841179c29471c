// The two 8259 interrupt controllers of the PC: all there is without ACPI, switched off for good when there are IOAPICs.
#pragma once

#include <cstdint>

namespace faultline {

// Moves lines 0..15 to vectors VECTOR_FIRST_INTERRUPT.. and masks them all.
void pic_initialize();
void pic_unmask(uint32_t line);
// Ends the service of `line`. False if the controller raised it by mistake (line 7 or 15): then nobody asked.
bool pic_acknowledge(uint32_t line);

}  // namespace faultline
