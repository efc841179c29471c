// Clocks, sleeping, processor times. The 32-bit and _time64 forms differ only in their structures.
#include "arch/clock.h"
#include "kernel/calls.h"
#include "kernel/pid.h"
#include "kernel/process.h"
#include "kernel/scheduler.h"
#include "kernel/signal_internal.h"
#include "kernel/time.h"
#include "kernel/time_internal.h"

namespace faultline {

namespace {

constexpr uint32_t kRealtime = 0, kMonotonic = 1, kProcessCpu = 2, kThreadCpu = 3, kMonotonicRaw = 4, kRealtimeCoarse = 5,
                   kMonotonicCoarse = 6, kBoottime = 7;

// A clock that counts the processor time of some process or thread (clock_getcpuclockid(3), pthread_getcpuclockid(3)): above three bits the
// complement of its number, 0 for the caller; two bits say what counts, the third that it is a thread, which must be one of the caller's.
Result<uint64_t> read_processor_clock(uint32_t clock) {
  constexpr uint32_t kAll = 0, kExact = 2, kWhat = 3, kOfThread = 4;  // 1: in user mode
  const uint32_t number = ~(static_cast<int32_t>(clock) >> 3), what = clock & kWhat;
  if (what > kExact) return Errno::kINVAL;
  Process& self = current_process();
  InterruptLockGuard guard(process_table_lock);
  ResourceUsage usage;
  if (clock & kOfThread) {
    Thread* thread = number == 0 ? &running_thread() : pid_find_thread_locked(number);
    if (!thread || &thread->process() != &self) return Errno::kINVAL;
    if (what == kExact) return scheduler_run_time(*thread);
    usage = thread_usage(*thread);
  } else {
    Process* process = number == 0 ? &self : pid_find_locked(number);
    if (!process || (number != 0 && process->pid() != number)) return Errno::kINVAL;
    if (what == kExact) return process_run_time_locked(*process);
    usage = process_usage_locked(*process);
  }
  return what == kAll ? usage.processor_time() : usage.user_time;
}

Result<uint64_t> read_clock(uint32_t clock) {
  switch (clock) {
    case kRealtime:
    case kRealtimeCoarse: return wall_clock_nanoseconds();
    case kMonotonic:
    case kMonotonicRaw:
    case kMonotonicCoarse:
    case kBoottime: return clock_monotonic();
    case kProcessCpu: {
      InterruptLockGuard guard(process_table_lock);
      return process_run_time_locked(current_process());
    }
    case kThreadCpu: return scheduler_run_time(running_thread());
    default: return static_cast<int32_t>(clock) < 0 ? read_processor_clock(clock) : Result<uint64_t>(Errno::kINVAL);
  }
}

Result<uint32_t> set_clock(uint32_t clock, uint64_t nanoseconds) {
  if (clock != kRealtime) return Errno::kINVAL;
  if (!current_process().credentials().is_superuser()) return Errno::kPERM;
  TRY(wall_clock_set(nanoseconds));
  return 0u;
}

// kRESTARTNOHAND when a signal came first: a stopped and continued sleep goes on to the same end.
Result<void> sleep_until(const TimeLimit& end) {
  for (;;) {
    Result<void> slept = end.block(SleepKind::kInterruptible);
    if (slept.ok()) continue;
    return slept.error() == Errno::kTIMEDOUT ? Result<void>() : Errno::kRESTARTNOHAND;
  }
}

uint64_t remaining_until(Deadline deadline) {
  uint64_t now = clock_monotonic();
  return deadline.nanoseconds > now ? deadline.nanoseconds - now : 0;
}

template <typename Time>
Result<void> write_time(UserPtr<Time> where, uint64_t nanoseconds) {
  if constexpr (std::is_same_v<Time, Timespec32>)
    return user_write(where, timespec32_of(nanoseconds));
  else
    return user_write(where, timespec64_of(nanoseconds));
}

template <typename Time>
Result<uint32_t> sleep_call(uint32_t clock, uint32_t flags, UserPtr<Time> wanted, UserPtr<Time> left) {
  constexpr uint32_t kAbsolute = 1;
  if (clock == kThreadCpu || clock > kBoottime || (flags & ~kAbsolute)) return Errno::kINVAL;
  if (clock == kProcessCpu || (clock >= kMonotonicRaw && clock <= kMonotonicCoarse)) return Errno::kOPNOTSUPP;
  Time time = TRY(user_read(wanted));
  uint64_t nanoseconds = TRY(nanoseconds_of(time));
  if (flags & kAbsolute) {
    TRY(sleep_until(clock == kRealtime ? TimeLimit::at_wall_time(nanoseconds) : TimeLimit{Deadline{nanoseconds}}));
    return 0u;
  }
  Thread& self = running_thread();
  uint64_t interrupted = std::exchange(self.restart_deadline, 0);
  Deadline deadline = interrupted ? Deadline{interrupted} : deadline_after(nanoseconds);
  Result<void> slept = sleep_until({deadline});
  if (slept.ok()) return 0u;
  self.restart_deadline = deadline.nanoseconds;
  if (!left.is_null()) TRY(write_time(left, remaining_until(deadline)));
  return slept.error();
}

}  // namespace

uint64_t process_run_time_locked(Process& process) {
  uint64_t time = process.ended_threads_.user_time + process.ended_threads_.kernel_time;
  for (Thread& thread : process.threads_) time += scheduler_run_time(thread);
  return time;
}

Result<uint32_t> sys_clock_gettime(uint32_t clock, UserPtr<Timespec32> where) {
  uint64_t now = TRY(read_clock(clock));
  TRY(write_time(where, now));
  return 0u;
}
Result<uint32_t> sys_clock_gettime64(uint32_t clock, UserPtr<Timespec64> where) {
  uint64_t now = TRY(read_clock(clock));
  TRY(write_time(where, now));
  return 0u;
}
Result<uint32_t> sys_clock_settime(uint32_t clock, UserPtr<Timespec32> from) {
  Timespec32 time = TRY(user_read(from));
  uint64_t nanoseconds = TRY(nanoseconds_of(time));
  return set_clock(clock, nanoseconds);
}
Result<uint32_t> sys_clock_settime64(uint32_t clock, UserPtr<Timespec64> from) {
  Timespec64 time = TRY(user_read(from));
  uint64_t nanoseconds = TRY(nanoseconds_of(time));
  return set_clock(clock, nanoseconds);
}
Result<uint32_t> sys_clock_getres(uint32_t clock, UserPtr<Timespec32> where) {
  TRY(read_clock(clock));
  if (!where.is_null()) TRY(user_write(where, {0, 1}));
  return 0u;
}
Result<uint32_t> sys_clock_getres_time64(uint32_t clock, UserPtr<Timespec64> where) {
  TRY(read_clock(clock));
  if (!where.is_null()) TRY(user_write(where, {0, 1, 0}));
  return 0u;
}

Result<uint32_t> sys_nanosleep(UserPtr<Timespec32> wanted, UserPtr<Timespec32> left) { return sleep_call(kMonotonic, 0, wanted, left); }
Result<uint32_t> sys_clock_nanosleep(uint32_t clock, uint32_t flags, UserPtr<Timespec32> wanted, UserPtr<Timespec32> left) {
  return sleep_call(clock, flags, wanted, left);
}
Result<uint32_t> sys_clock_nanosleep_time64(uint32_t clock, uint32_t flags, UserPtr<Timespec64> wanted, UserPtr<Timespec64> left) {
  return sleep_call(clock, flags, wanted, left);
}

Result<uint32_t> sys_time(UserPtr<uint32_t> where) {
  auto seconds = static_cast<uint32_t>(wall_clock_nanoseconds() / kNanosecondsPerSecond);
  if (!where.is_null()) TRY(user_write(where, seconds));
  return seconds;
}

Result<uint32_t> sys_stime(UserPtr<uint32_t> from) {
  uint32_t seconds = TRY(user_read(from));
  return set_clock(kRealtime, seconds * kNanosecondsPerSecond);
}

// struct timezone is two words that nobody uses any more.
Result<uint32_t> sys_gettimeofday(UserPtr<Timeval32> where, UserPtr<uint32_t> zone) {
  if (!where.is_null()) TRY(user_write(where, timeval32_of(wall_clock_nanoseconds())));
  if (!zone.is_null()) {
    TRY(user_write(zone, 0u));
    TRY(user_write(zone.at(1), 0u));
  }
  return 0u;
}

Result<uint32_t> sys_settimeofday(UserPtr<Timeval32> from, UserPtr<uint32_t> zone) {
  if (!current_process().credentials().is_superuser()) return Errno::kPERM;
  if (!zone.is_null()) TRY(user_read(zone));
  if (from.is_null()) return 0u;
  Timeval32 time = TRY(user_read(from));
  uint64_t nanoseconds = TRY(nanoseconds_of(time));
  return set_clock(kRealtime, nanoseconds);
}

// ---------------------------------------------------------------- times

struct UserTimes {
  uint32_t user, kernel, children_user, children_kernel;
};

Result<uint32_t> sys_times(UserPtr<UserTimes> where) {
  constexpr uint64_t kNanosecondsPerTick = kNanosecondsPerSecond / kUserTicksPerSecond;
  auto ticks = [](uint64_t nanoseconds) { return static_cast<uint32_t>(nanoseconds / kNanosecondsPerTick); };
  if (!where.is_null()) {
    Process& self = current_process();
    ResourceUsage own = self.usage(), children;
    {
      InterruptLockGuard guard(process_table_lock);
      children = self.waited_children_;
    }
    TRY(user_write(where, {ticks(own.user_time), ticks(own.kernel_time), ticks(children.user_time), ticks(children.kernel_time)}));
  }
  return ticks(clock_monotonic());
}

}  // namespace faultline
