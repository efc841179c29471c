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

// struct itimerspec: again and again after `interval`, first after, or at, `value`.
template <typename Time>
struct TimerTimes {
  Time interval, value;
};
// Nanoseconds.
struct TimerSetting {
  uint64_t value = 0;     // 0: not set
  uint64_t interval = 0;  // 0: once
};
template <typename Time>
Result<TimerSetting> timer_setting_of(const TimerTimes<Time>& times) {
  TimerSetting setting;
  setting.interval = TRY(nanoseconds_of(times.interval));
  setting.value = TRY(nanoseconds_of(times.value));
  return setting;
}
template <typename Time>
TimerTimes<Time> timer_times_of(const TimerSetting& setting) {
  if constexpr (std::is_same_v<Time, Timespec32>)
    return {timespec32_of(setting.interval), timespec32_of(setting.value)};
  else
    return {timespec64_of(setting.interval), timespec64_of(setting.value)};
}

// Nanoseconds since 1970 UTC.
uint64_t wall_clock_nanoseconds();
// kINVAL for a time at which the machine would have started before 1970, or so late that the clock would run over (Linux' 30 years before).
Result<void> wall_clock_set(uint64_t nanoseconds);
// Tells it to programs' clocks (arch/vdso.h); at boot.
void wall_clock_publish();

}  // namespace faultline
