// The wall clock and conversions: see time.h.
#include "kernel/time.h"

#include "arch/clock.h"
#include "arch/vdso.h"
#include "kernel/clock_timer.h"
#include "lib/atomic.h"
#include "lib/lock.h"

namespace faultline {

namespace {

// What settimeofday and clock_settime have added to boot time plus the monotonic clock.
constinit SpinLock<LockRank::kLeaf> wall_lock;
constinit int64_t wall_adjustment GUARDED_BY(wall_lock) = 0;

constexpr uint64_t kMicrosecond = 1000;

uint64_t wall_at_zero_locked() REQUIRES(wall_lock) {
  return clock_boot_wall_seconds() * kNanosecondsPerSecond + static_cast<uint64_t>(wall_adjustment);
}

Result<uint64_t> combine(int64_t seconds, int64_t fraction, uint64_t unit) {
  if (seconds < 0 || fraction < 0 || static_cast<uint64_t>(fraction) * unit >= kNanosecondsPerSecond) return Errno::kINVAL;
  constexpr int64_t kMost = static_cast<int64_t>(INT64_MAX / kNanosecondsPerSecond);
  if (seconds >= kMost) return static_cast<uint64_t>(INT64_MAX);
  return static_cast<uint64_t>(seconds) * kNanosecondsPerSecond + static_cast<uint64_t>(fraction) * unit;
}

}  // namespace

Result<uint64_t> nanoseconds_of(const Timespec32& time) { return combine(time.seconds, time.nanoseconds, 1); }
Result<uint64_t> nanoseconds_of(const Timespec64& time) { return combine(time.seconds, time.nanoseconds, 1); }
Result<uint64_t> nanoseconds_of(const Timeval32& time) { return combine(time.seconds, time.microseconds, kMicrosecond); }

Timespec32 timespec32_of(uint64_t nanoseconds) {
  return {static_cast<int32_t>(nanoseconds / kNanosecondsPerSecond), static_cast<int32_t>(nanoseconds % kNanosecondsPerSecond)};
}
Timespec64 timespec64_of(uint64_t nanoseconds) {
  return {static_cast<int64_t>(nanoseconds / kNanosecondsPerSecond), static_cast<int32_t>(nanoseconds % kNanosecondsPerSecond), 0};
}
Timeval32 timeval32_of(uint64_t nanoseconds) {
  return {static_cast<int32_t>(nanoseconds / kNanosecondsPerSecond),
          static_cast<int32_t>(nanoseconds % kNanosecondsPerSecond / kMicrosecond)};
}

Deadline deadline_after(uint64_t nanoseconds) {
  uint64_t now = clock_monotonic();
  return nanoseconds >= static_cast<uint64_t>(INT64_MAX) - now ? Deadline::never() : Deadline{now + nanoseconds};
}

uint64_t wall_clock_nanoseconds() {
  LockGuard guard(wall_lock);
  return wall_at_zero_locked() + clock_monotonic();
}

namespace {

int64_t adjust_wall_clock(uint64_t nanoseconds) {
  LockGuard guard(wall_lock);
  auto moved_by = static_cast<int64_t>(nanoseconds - clock_monotonic() - wall_at_zero_locked());
  wall_adjustment += moved_by;
  vdso_set_wall_clock(wall_at_zero_locked());
  return moved_by;
}

}  // namespace

Result<void> wall_clock_set(uint64_t nanoseconds) {
  constexpr uint64_t kLongestUptime = 30ull * 365 * 24 * 3600 * kNanosecondsPerSecond;
  if (nanoseconds < clock_monotonic() || nanoseconds >= static_cast<uint64_t>(INT64_MAX) - kLongestUptime) return Errno::kINVAL;
  ClockTimer::set_wall_clock(nanoseconds, &adjust_wall_clock);
  return {};
}

void wall_clock_publish() {
  LockGuard guard(wall_lock);
  vdso_set_wall_clock(wall_at_zero_locked());
}

Timestamp wall_time() {
  uint64_t now = wall_clock_nanoseconds();
  return {static_cast<int64_t>(now / kNanosecondsPerSecond), static_cast<uint32_t>(now % kNanosecondsPerSecond)};
}

}  // namespace faultline
