// See clock_timer.h.
#include "kernel/clock_timer.h"

#include <algorithm>
#include <array>

#include "arch/clock.h"
#include "arch/cpu.h"
#include "kernel/time.h"
#include "lib/late.h"
#include "lib/lock.h"

namespace faultline {

namespace {

constexpr uint64_t kNever = static_cast<uint64_t>(INT64_MAX);

// Held while timers are set and stopped, so that a change of the wall clock finds each as it is. The callback takes it not.
constinit SpinLock<LockRank::kClockTimers> timers_lock;
constinit Late<List<ClockTimer, AbsoluteWallTimersTag>> absolute_wall_timers GUARDED_BY(timers_lock);

// Past times count too: periods since then have been missed. 0 would mean "not set".
uint64_t due_time(uint64_t value, TimerBase base) {
  if (base == TimerBase::kMonotonic) return value;
  uint64_t wall = base == TimerBase::kWall ? wall_clock_nanoseconds() : 0;
  uint64_t now = clock_monotonic();  // read last: what is left is counted from no earlier, so nothing goes off too early
  if (value >= wall) return value - wall >= kNever - now ? kNever : now + (value - wall);
  return wall - value < now ? now - (wall - value) : 1;
}

// On from there, when the wall clock goes on by so much: earlier. Neither before the clock's start nor after its end.
uint64_t moved_due_time(uint64_t due, int64_t moved_by) {
  int64_t moved;
  if (__builtin_sub_overflow(static_cast<int64_t>(due), moved_by, &moved)) return kNever;
  return moved > 0 ? static_cast<uint64_t>(moved) : 1;
}

}  // namespace

void ClockTimer::initialize() {
  LockGuard guard(timers_lock);
  absolute_wall_timers.construct();
}

void ClockTimer::arm() {
  if (uint64_t due = due_.load(memory_order_relaxed); due != 0 && due != kNever) Timer::set(due);
}

void ClockTimer::start(const TimerSetting& setting, TimerBase base) {
  LockGuard guard(timers_lock);
  cancel();
  bool follows = base == TimerBase::kWall;
  if (follows && !follows_wall_clock_) absolute_wall_timers->push_back(*this);
  if (!follows && follows_wall_clock_) absolute_wall_timers->remove(*this);
  follows_wall_clock_ = follows;
  due_.store(setting.value == 0 ? 0 : due_time(setting.value, base), memory_order_relaxed);
  interval_.store(setting.value == 0 ? 0 : setting.interval, memory_order_relaxed);
  arm();
}

void ClockTimer::stop() { start({}, TimerBase::kFromNow); }

TimerSetting ClockTimer::remaining() const {
  uint64_t due = due_.load(memory_order_relaxed), interval = interval_.load(memory_order_relaxed), now = clock_monotonic();
  if (due == 0) return {0, interval};
  return {due > now ? due - now : 1, interval};
}

namespace {

// Programs' timers get an eighth of a CPU, however many and short they are: the earliest time for the next expiry of one that has just
// cost so much. Those that are late take turns besides, as they may wait for locks for long. What they miss is counted. In the timer
// interrupt.
uint64_t next_turn(uint64_t now, uint64_t cost, bool is_late) {
  constexpr uint64_t kLongest = 1'000'000, kShare = 8, kPause = 100'000;
  static constinit std::array<uint64_t, kMaxCpus> last_turns = {};
  uint64_t& last = last_turns[this_cpu()];
  uint64_t pause = std::min(cost, kLongest) * kShare;  // a costly one may have waited for the host to run this CPU
  return last = std::max(last, now) + (is_late ? std::max(kPause, pause) : pause);
}

}  // namespace

void ClockTimer::ran_out(Timer& timer) {
  constexpr uint64_t kSoon = 100'000;
  auto& self = static_cast<ClockTimer&>(timer);
  uint64_t now = clock_monotonic(), due = self.due_.load(memory_order_relaxed), interval = self.interval_.load(memory_order_relaxed);
  uint64_t times = 1;
  if (interval != 0 && now > due) times += (now - due) / interval;
  due = interval == 0 ? 0 : std::min(due + times * interval, kNever);
  self.due_.store(due, memory_order_relaxed);
  self.expired(times);
  if (self.interval_.load(memory_order_relaxed) == 0 || due == kNever) return;
  uint64_t end = clock_monotonic();
  self.set(std::max(due, next_turn(end, end - now, due < end + kSoon)));
}

void ClockTimer::set_wall_clock(uint64_t nanoseconds, int64_t (*set)(uint64_t nanoseconds)) {
  LockGuard guard(timers_lock);
  int64_t moved_by = set(nanoseconds);
  for (ClockTimer& timer : *absolute_wall_timers) {
    timer.cancel();  // a callback that runs now is waited for, and what it has set is taken back
    uint64_t due = timer.due_.load(memory_order_relaxed);
    if (due != 0 && due != kNever) {
      timer.due_.store(moved_due_time(due, moved_by), memory_order_relaxed);
      timer.arm();
    }
    timer.wall_clock_changed();
  }
}

namespace {

struct WallTimeReached final : ClockTimer {
  explicit WallTimeReached(Thread& sleeper) : thread(sleeper) {}
  ~WallTimeReached() { stop(); }
  void expired(uint64_t) override {
    has_come.store(true, memory_order_relaxed);
    wake(thread);
  }
  Thread& thread;
  Atomic<bool> has_come{false};
};

}  // namespace

Result<void> TimeLimit::block_by_wall_clock(SleepKind kind) const {
  WallTimeReached end(*current_thread());
  end.start({wall_time, 0}, TimerBase::kWall);
  Result<void> slept = faultline::block(kind);
  return end.has_come.load(memory_order_relaxed) ? Errno::kTIMEDOUT : slept;
}

}  // namespace faultline
