// The PC's text screen (VGA mode 3, 80 x 25), which the window or the monitor shows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/result.h"

namespace faultline {

class Terminal;

// Finds the display and the keyboard, and registers /dev/tty1 and /dev/tty0 on them; a machine without a display is fine.
// Boot only, after interrupts and /dev. kNOMEM.
Result<void> vga_text_initialize();

// Cursor keys should send their application sequences. Any context; false without a display.
bool vga_text_wants_application_keys();
// What was typed, for the screen's terminal. Any context.
void vga_text_typed(std::span<const uint8_t> bytes);

}  // namespace faultline
