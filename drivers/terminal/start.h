// Brings all terminals of the machine up.
#pragma once

#include "lib/result.h"
#include "lib/string.h"

namespace faultline {

// Serial ports, screen and keyboard, pseudo-terminals, /dev/tty and /dev/console; the latter leads to the terminal named by
// `console` (the boot option: "ttyS0" or "ttyS0,115200", "tty1", "tty0"), else to the first that the machine has. Boot only,
// after interrupts and /dev; kernel/ then starts a thread for terminal_input_loop(). kNOMEM.
Result<void> terminals_initialize(StringView console);

}  // namespace faultline
