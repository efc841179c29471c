// The first serial port by polling: where the log and a panic go, before and whatever the interrupt-driven driver does.
#pragma once

#include "lib/string.h"

namespace faultline {

// 115200 8N1. Harmless when there is no such port.
void early_serial_initialize();

// Sends `text`, a carriage return before each newline. Never sleeps, takes no lock; returns soon even without a port.
void early_serial_put(StringView text);

}  // namespace faultline
