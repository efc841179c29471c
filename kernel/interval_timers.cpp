// Interval timers: of real time (setitimer, alarm) and of the process' own processor time, beside which its limit of processor time is
// looked at. See setitimer(2), getrlimit(2).
#include <algorithm>

#include "arch/clock.h"
#include "kernel/calls.h"
#include "kernel/posix_timers.h"
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

UserTimer user_timer_of(const TimerSetting& setting) { return {timeval32_of(setting.interval), timeval32_of(setting.value)}; }

// A timer that is set never shows 0.
constexpr uint64_t kMicrosecond = 1000;

TimerSetting exchange_real_timer(Process& process, const TimerSetting* wanted) {
  LockGuard guard(process.timers_lock_);
  TimerSetting before = process.real_timer_.remaining();
  if (before.value != 0) before.value = std::max(before.value, kMicrosecond);
  if (wanted) process.real_timer_.start(*wanted, TimerBase::kFromNow);
  return before;
}

// ---------------------------------------------------------------- processor time

TimerSetting exchange_processor_timer(Process& process, uint32_t which, const TimerSetting* wanted) {
  InterruptLockGuard guard(process_table_lock);
  ResourceUsage used = process_usage_locked(process);
  uint64_t now = which == kVirtual ? used.user_time : used.processor_time();
  ProcessorTimer& timer = which == kVirtual ? process.virtual_timer_ : process.profiling_timer_;
  TimerSetting before{timer.end == 0 ? 0 : timer.end > now + kMicrosecond ? timer.end - now : kMicrosecond, timer.interval};
  if (wanted) {
    timer.interval = wanted->interval;
    timer.end = wanted->value == 0 ? 0 : now + wanted->value;
    bool any = process.virtual_timer_.end != 0 || process.profiling_timer_.end != 0 || !process.processor_timers_.is_empty();
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

TimerSetting exchange_timer(uint32_t which, const TimerSetting* wanted) {
  Process& self = current_process();
  return which == kReal ? exchange_real_timer(self, wanted) : exchange_processor_timer(self, which, wanted);
}

}  // namespace

void Process::RealTimer::expired(uint64_t) {
  ignore_result(signal_send(owner, signal_info_from_kernel(Signal::kAlarm)));  // not real-time: it cannot fail
}

void process_tick(Process& process) {
  const Limit& limit = process.limits_[static_cast<size_t>(Resource::kCpu)];
  bool has_limit = limit.current != kUnlimited || limit.maximum != kUnlimited;
  if (!has_limit && !process.has_processor_timers_.load(memory_order_relaxed)) return;
  InterruptLockGuard guard(process_table_lock);
  ResourceUsage used = process_usage_locked(process);
  run_processor_timer_locked(process, process.virtual_timer_, used.user_time, Signal::kVirtualAlarm);
  run_processor_timer_locked(process, process.profiling_timer_, used.processor_time(), Signal::kProfile);
  if (!process.processor_timers_.is_empty()) {
    uint64_t run_time = process_run_time_locked(process);  // once: there may be as many timers as threads
    for (PosixTimer& timer : process.processor_timers_) timer.look_at_processor_time_locked(running_thread(), run_time);
  }
  if (has_limit) check_time_limit_locked(process, used.processor_time());
}

Result<uint32_t> sys_setitimer(uint32_t which, UserPtr<UserTimer> wanted, UserPtr<UserTimer> old) {
  if (which > kProfiling) return Errno::kINVAL;
  TimerSetting setting;
  if (!wanted.is_null()) {
    UserTimer user = TRY(user_read(wanted));
    setting.interval = TRY(nanoseconds_of(user.interval));
    setting.value = TRY(nanoseconds_of(user.value));
  }
  if (!old.is_null()) TRY(user_write(old, user_timer_of(exchange_timer(which, nullptr))));
  exchange_timer(which, &setting);
  return 0u;
}

Result<uint32_t> sys_getitimer(uint32_t which, UserPtr<UserTimer> where) {
  if (which > kProfiling) return Errno::kINVAL;
  TRY(user_write(where, user_timer_of(exchange_timer(which, nullptr))));
  return 0u;
}

Result<uint32_t> sys_alarm(uint32_t seconds) {
  TimerSetting setting{seconds * kNanosecondsPerSecond, 0};
  uint64_t left = exchange_real_timer(current_process(), &setting).value;
  auto rounded = static_cast<uint32_t>((left + kNanosecondsPerSecond / 2) / kNanosecondsPerSecond);
  return left != 0 && rounded == 0 ? 1u : rounded;
}

}  // namespace faultline
