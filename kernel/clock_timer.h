// Timers as programs have them: at a time of a clock or some time from now, once or again and again. setitimer(2), timer_create(2) and
// timerfd_create(2) are made of them.
#pragma once

#include "kernel/time.h"
#include "kernel/timer.h"
#include "lib/list.h"
#include "lib/scheduling.h"

namespace faultline {

struct AbsoluteWallTimersTag;

enum class TimerBase : uint8_t {
  kFromNow,
  kMonotonic,  // `value` is a time of that clock
  kWall,       // or of this one, and follows when it is set
};

class ClockTimer : private Timer, public ListNode<AbsoluteWallTimersTag> {
 public:
  ClockTimer() : Timer(&ran_out) {}

  // Sets it anew. Callers take turns.
  void start(const TimerSetting& setting, TimerBase base);
  // Afterwards expired() is not running and will not run; owners call it before they end. Not from expired() itself.
  void stop();
  // What is left until the next expiry: not 0 as long as it is set.
  TimerSetting remaining() const;

  static void initialize();  // boot, before any is set
  // Sets the wall clock by `set`, which says by how much that moves it on, and moves what waits for a time of it: no timer is started between.
  static void set_wall_clock(uint64_t nanoseconds, int64_t (*set)(uint64_t nanoseconds));

 protected:
  ~ClockTimer() = default;
  // In the timer interrupt, nothing held: it went off, and so many times since it last did.
  virtual void expired(uint64_t times) = 0;
  virtual void wall_clock_changed() {}

 private:
  static void ran_out(Timer& timer);
  void arm();

  Atomic<uint64_t> due_{0};  // monotonic nanoseconds of the next expiry; 0: not set
  Atomic<uint64_t> interval_{0};
  bool follows_wall_clock_ = false;
};

// When a wait is given up: at a time of the monotonic clock, or at one of the wall clock, whenever that is once it is set.
struct TimeLimit {
  Deadline deadline;
  uint64_t wall_time = 0;  // 0: none

  static TimeLimit at_wall_time(uint64_t nanoseconds) { return {Deadline::never(), nanoseconds == 0 ? 1 : nanoseconds}; }
  // As lib/scheduling.h's.
  Result<void> block(SleepKind kind) const { return wall_time == 0 ? faultline::block(kind, deadline) : block_by_wall_clock(kind); }

 private:
  Result<void> block_by_wall_clock(SleepKind kind) const;
};

}  // namespace faultline
