// Interval timers: of real time (setitimer, alarm) and of the process' own processor time, beside which its limit of processor time is
// looked at. See setitimer(2), getrlimit(2).
#include <algorithm>

#include "arch/clock.h"
#include "kernel/calls.h"
#include "kernel/process.h"
#include "kernel/scheduler_internal.h"
#include "kernel/signal_internal.h"
#include "kernel/time.h"
#include "kernel/time_internal.h"
#include "kernel/usage.h"

namespace faultline {

struct UserTimer {
  Timeval32 interval, value;
};

namespace {

constexpr uint32_t kReal = 0, kVirtual = 1, kProfiling = 2;

// Nanoseconds.
struct TimerValue {
  uint64_t interval = 0;
  uint64_t left = 0;  // 0: not set
};

UserTimer user_timer_of(const TimerValue& value) { return {timeval32_of(value.interval), timeval32_of(value.left)}; }

// A timer that is set never shows 0.
uint64_t time_left(uint64_t end, uint64_t now) {
  constexpr uint64_t kMicrosecond = 1000;
  return end > now + kMicrosecond ? end - now : kMicrosecond;
}

// ---------------------------------------------------------------- real time

TimerValue real_timer_value(Process& process) {
  LockGuard guard(process.lock_);
  TimerValue value{process.real_timer_interval_.load(memory_order_relaxed), 0};
  if (process.real_timer_.is_set()) value.left = time_left(process.real_timer_.deadline(), clock_monotonic());
  return value;
}

void set_real_timer(Process& process, const TimerValue& value) {
  LockGuard guard(process.lock_);
  process.real_timer_interval_.store(0, memory_order_relaxed);  // a callback that runs now does not start it again
  process.real_timer_.cancel();
  if (value.left == 0) return;
  process.real_timer_interval_.store(value.interval, memory_order_relaxed);
  process.real_timer_.set(clock_monotonic() + value.left);
}

// ---------------------------------------------------------------- processor time

// What the process and its ended threads have used, as far as samples can tell it apart.
struct ProcessorTime {
  uint64_t user = 0, total = 0;
};

ProcessorTime processor_time_locked(Process& process) REQUIRES(process_table_lock) {
  ResourceUsage usage = process.ended_threads_;
  for (Thread& thread : process.threads_) usage.add(thread_usage(thread));
  return {usage.user_time, usage.user_time + usage.kernel_time};
}

TimerValue exchange_processor_timer(Process& process, uint32_t which, const TimerValue* wanted) {
  InterruptLockGuard guard(process_table_lock);
  ProcessorTime used = processor_time_locked(process);
  uint64_t now = which == kVirtual ? used.user : used.total;
  ProcessorTimer& timer = which == kVirtual ? process.virtual_timer_ : process.profiling_timer_;
  TimerValue before{timer.interval, timer.end == 0 ? 0 : time_left(timer.end, now)};
  if (wanted) {
    timer.interval = wanted->interval;
    timer.end = wanted->left == 0 ? 0 : now + wanted->left;
    bool any = process.virtual_timer_.end != 0 || process.profiling_timer_.end != 0;
    process.has_processor_timers_.store(any, memory_order_relaxed);
  }
  return before;
}

// A period shorter than a tick gives one signal a tick.
void run_processor_timer_locked(Process& process, ProcessorTimer& timer, uint64_t now, Signal signal) REQUIRES(process_table_lock) {
  if (timer.end == 0 || now < timer.end) return;
  timer.end = timer.interval == 0 ? 0 : timer.end + timer.interval > now ? timer.end + timer.interval : now + 1;
  ignore_result(signal_send_locked(process, signal_info_from_kernel(signal)));  // not real-time: it cannot fail
}

void check_time_limit_locked(Process& process, uint64_t used) REQUIRES(process_table_lock) {
  const Limit& limit = process.limits_[static_cast<size_t>(Resource::kCpu)];
  uint64_t seconds = used / kNanosecondsPerSecond;
  Signal signal = Signal::kNone;
  if (seconds >= limit.maximum)
    signal = Signal::kKill;
  else if (seconds >= limit.current && seconds > process.time_limit_told_)
    signal = Signal::kCpuLimit;
  if (signal == Signal::kNone) return;
  process.time_limit_told_ = seconds;
  ignore_result(signal_send_locked(process, signal_info_from_kernel(signal)));  // as above
}

TimerValue timer_value(Process& process, uint32_t which) {
  return which == kReal ? real_timer_value(process) : exchange_processor_timer(process, which, nullptr);
}

}  // namespace

void real_timer_expired(Timer& timer) {
  Process& process = *static_cast<Process::RealTimer&>(timer).owner;
  ignore_result(signal_send(process, signal_info_from_kernel(Signal::kAlarm)));  // not real-time: it cannot fail
  uint64_t interval = process.real_timer_interval_.load(memory_order_relaxed);
  if (interval == 0) return;
  // The period is kept, but for one so short that the CPU would do nothing else.
  constexpr uint64_t kShortest = 100'000;
  timer.set(std::max(timer.deadline() + interval, clock_monotonic() + kShortest));
}

void process_tick(Process& process) {
  const Limit& limit = process.limits_[static_cast<size_t>(Resource::kCpu)];
  bool has_limit = limit.current != kUnlimited || limit.maximum != kUnlimited;
  if (!has_limit && !process.has_processor_timers_.load(memory_order_relaxed)) return;
  InterruptLockGuard guard(process_table_lock);
  ProcessorTime used = processor_time_locked(process);
  run_processor_timer_locked(process, process.virtual_timer_, used.user, Signal::kVirtualAlarm);
  run_processor_timer_locked(process, process.profiling_timer_, used.total, Signal::kProfile);
  if (has_limit) check_time_limit_locked(process, used.total);
}

Result<uint32_t> sys_setitimer(uint32_t which, UserPtr<UserTimer> wanted, UserPtr<UserTimer> old) {
  if (which > kProfiling) return Errno::kINVAL;
  Process& self = current_process();
  TimerValue value;
  if (!wanted.is_null()) {
    UserTimer user = TRY(user_read(wanted));
    value.interval = TRY(nanoseconds_of(user.interval));
    value.left = TRY(nanoseconds_of(user.value));
  }
  if (!old.is_null()) TRY(user_write(old, user_timer_of(timer_value(self, which))));
  if (which == kReal)
    set_real_timer(self, value);
  else
    exchange_processor_timer(self, which, &value);
  return 0u;
}

Result<uint32_t> sys_getitimer(uint32_t which, UserPtr<UserTimer> where) {
  if (which > kProfiling) return Errno::kINVAL;
  TRY(user_write(where, user_timer_of(timer_value(current_process(), which))));
  return 0u;
}

Result<uint32_t> sys_alarm(uint32_t seconds) {
  Process& self = current_process();
  uint64_t left = real_timer_value(self).left;
  set_real_timer(self, {0, seconds * kNanosecondsPerSecond});
  auto rounded = static_cast<uint32_t>((left + kNanosecondsPerSecond / 2) / kNanosecondsPerSecond);
  return left != 0 && rounded == 0 ? 1u : rounded;
}

}  // namespace faultline
