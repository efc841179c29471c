// What clock.cpp has measured, for who reads the counter without it.
#pragma once

#include <cstdint>

namespace faultline {

struct ClockRate {
  uint64_t start;            // the counter at time 0 of the monotonic clock
  uint32_t rate, doublings;  // clock_scaled() of a reading doubled so often
};
ClockRate clock_rate();

}  // namespace faultline
