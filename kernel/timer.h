// Timers: a callback at a time of the monotonic clock. Each CPU keeps its own in a pairing heap and arms its one-shot timer for
// the earliest.
#pragma once

#include <cstdint>

#include "lib/atomic.h"

namespace faultline {

class Timer {
 public:
  // Called once per set(), in the timer interrupt with no lock held; must not sleep. It may set() its own timer again.
  using Callback = void (*)(Timer& timer);
  explicit Timer(Callback callback) : callback_(callback) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Runs the callback at `deadline` (monotonic nanoseconds) on the CPU that calls this; a timer already set is moved.
  void set(uint64_t deadline);
  // Afterwards the callback is not running and will not run. Not from the callback itself. True if it had been set.
  bool cancel();
  bool is_set() const { return queued_; }
  uint64_t deadline() const { return deadline_; }

 private:
  friend class TimerHeap;
  friend void timers_run_expired();
  Callback callback_;
  uint64_t deadline_ = 0;
  // All guarded by the timer lock of CPU cpu_.
  Timer* child_ = nullptr;
  Timer* sibling_ = nullptr;
  Timer* previous_ = nullptr;  // elder sibling, or the parent for the eldest
  Atomic<uint32_t> cpu_{0};
  bool queued_ = false;
};

// The timer interrupt: runs what is due and arms the next. Interrupts off.
void timers_run_expired();
// Makes this CPU's timer fire no later than `deadline` besides what is queued: the scheduler's slice. Interrupts off.
void timer_arm_slice(uint64_t deadline);

}  // namespace faultline
