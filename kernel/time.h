// Time as programs see it: wall clock over the monotonic clock, and the 32- and 64-bit structures of i386.
#pragma once

#include <cstdint>

#include "fs/inode.h"
#include "lib/result.h"
#include "lib/scheduling.h"
#include "mm/user_memory.h"

namespace faultline {

inline constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
inline constexpr uint32_t kUserTicksPerSecond = 100;  // AT_CLKTCK, times(2)

// struct timespec and timeval of i386, and the _time64 form.
struct Timespec32 {
  int32_t seconds, nanoseconds;
};
struct Timespec64 {
  int64_t seconds;
  int32_t nanoseconds;
  int32_t padding;
};
static_assert(sizeof(Timespec64) == 16);
struct Timeval32 {
  int32_t seconds, microseconds;
};

// kINVAL for negative seconds or a bad fraction. Saturates at "never".
Result<uint64_t> nanoseconds_of(const Timespec32& time);
Result<uint64_t> nanoseconds_of(const Timespec64& time);
Result<uint64_t> nanoseconds_of(const Timeval32& time);
Timespec32 timespec32_of(uint64_t nanoseconds);
Timespec64 timespec64_of(uint64_t nanoseconds);
Timeval32 timeval32_of(uint64_t nanoseconds);
// `nanoseconds` from now.
Deadline deadline_after(uint64_t nanoseconds);

// Nanoseconds since 1970 UTC.
uint64_t wall_clock_nanoseconds();
void wall_clock_set(uint64_t nanoseconds);
// Tells it to programs' clocks (arch/vdso.h); at boot.
void wall_clock_publish();

}  // namespace faultline
