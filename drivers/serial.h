// The PC's two serial ports (16550A) by interrupt: /dev/ttyS0, the console, and /dev/ttyS1, a raw channel of bytes.
#pragma once

#include "lib/result.h"
#include "lib/scheduling.h"
#include "lib/string.h"

namespace faultline {

// Finds the ports and registers their terminals; a machine without any is fine. Boot only, after interrupts and /dev. kNOMEM.
Result<void> serial_initialize();

// Waits until both ports have sent what programs wrote to them, so that a machine's last words arrive; at most until `deadline`, for a
// port nobody listens to. Sleeps.
void serial_drain(Deadline deadline);

// Text for the first port among what programs write there, whole, a carriage return before each newline; on its way when this
// returns. False before serial_initialize() or without a port: then poll (early_serial.h). Any context; takes a leaf lock.
bool serial_log_put(StringView text);

}  // namespace faultline
