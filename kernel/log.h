// The reading side of lib/log.h: the ring of past lines behind /dev/kmsg and syslog(2), and what reaches the console.
#pragma once

#include <cstdint>
#include <span>

#include "lib/log.h"

namespace faultline {

// Lines of this level and more important ones go to the console as well as to the ring.
void log_set_console_level(LogLevel level);
LogLevel log_console_level();

// The oldest line whose sequence number is at least `sequence`, in the form of /dev/kmsg ("level,sequence,microseconds,-;text\n");
// `sequence` becomes that line's number plus one. Returns the bytes written, 0 when there is no such line yet. Any context.
size_t log_read_record(uint64_t& sequence, std::span<char> buffer);

}  // namespace faultline
