// The PS/2 keyboard behind an 8042 controller, by interrupt. Keys go to the text screen's terminal (vga_text.h).
#pragma once

namespace faultline {

// Does nothing when there is no controller. Boot only, after interrupts.
void keyboard_initialize();

}  // namespace faultline
