// The battery clock.
#pragma once

#include <cstdint>

namespace faultline {

// Seconds since 1970 UTC, taking the clock to run in UTC.
uint64_t rtc_read();

}  // namespace faultline
