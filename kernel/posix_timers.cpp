// See posix_timers.h. A timer brings the queue entry of its signal along, so sending cannot fail, and there is one at most: while it waits, more
// expiries are only counted. Timers of processor time are looked at in the tick.
#include "kernel/posix_timers.h"

#include "kernel/calls.h"
#include "kernel/scheduler.h"
#include "kernel/signal_internal.h"
#include "kernel/time_internal.h"
#include "mm/slab.h"

namespace faultline {

// struct sigevent of i386.
struct UserSignalEvent {
  uint32_t value, signal, notify, thread;
  uint32_t unused[12];
};
static_assert(sizeof(UserSignalEvent) == 64);

namespace {

constexpr uint32_t kRealtime = 0, kProcessCpu = 2, kThreadCpu = 3, kMonotonicRaw = 4, kMonotonicCoarse = 6, kBoottime = 7;
constexpr uint32_t kAbsolute = 1;

uint64_t next_after(uint64_t due, uint64_t interval, uint64_t now, uint64_t& times) {
  times = 1;
  if (interval == 0) return 0;
  times += (now - due) / interval;
  return due + times * interval;
}

}  // namespace

PosixTimer::PosixTimer(Process& process, uint32_t id, uint32_t clock, TimerNotice notice, uint32_t thread, const SignalInfo& info)
    : process_(process), id_(id), clock_(clock), notice_(notice), thread_(thread), measured_(running_thread().id()), signal_(info) {}

PosixTimer::~PosixTimer() {
  stop();
  InterruptLockGuard table(process_table_lock);
  if (counts_processor_time()) process_.processor_timers_.remove(*this);
  InterruptLockGuard guard(process_.signal_lock_);
  signal_.withdraw();
}

bool PosixTimer::counts_processor_time() const { return clock_ == kProcessCpu || clock_ == kThreadCpu; }

uint64_t PosixTimer::processor_time_locked() const {
  if (clock_ == kProcessCpu) return process_run_time_locked(process_);
  for (Thread& thread : process_.threads_)
    if (thread.id() == measured_) return scheduler_run_time(thread);
  return 0;
}

void PosixTimer::set(const TimerSetting& setting, bool is_absolute) {
  stop();
  {
    InterruptLockGuard table(process_table_lock);
    {
      InterruptLockGuard guard(process_.signal_lock_);
      signal_.withdraw();
    }
    if (counts_processor_time()) {
      processor_setting_ = setting;
      uint64_t used = processor_time_locked();
      if (setting.value != 0 && !is_absolute) processor_setting_.value += used;
      process_.has_processor_timers_.store(true, memory_order_relaxed);
      go_off_if_due_locked(used);  // now: whoever is measured may sleep, and have no more ticks
      return;
    }
  }
  start(setting, !is_absolute ? TimerBase::kFromNow : clock_ == kRealtime ? TimerBase::kWall : TimerBase::kMonotonic);
}

TimerSetting PosixTimer::value() const {
  if (!counts_processor_time()) return remaining();
  InterruptLockGuard guard(process_table_lock);
  const auto& [due, interval] = processor_setting_;
  if (due == 0) return {0, interval};
  uint64_t now = processor_time_locked();
  return {due > now ? due - now : 1, interval};
}

uint32_t PosixTimer::overrun() const {
  InterruptLockGuard guard(process_.signal_lock_);
  return signal_.last_overrun;
}

void PosixTimer::expired(uint64_t times) {
  InterruptLockGuard guard(process_table_lock);
  notify_locked(times);
}

void PosixTimer::look_at_processor_time_locked(Thread& running, uint64_t process_time) {
  // Another thread's clock stands, or is looked at in that one's ticks.
  if (clock_ == kProcessCpu)
    go_off_if_due_locked(process_time);
  else if (measured_ == running.id())
    go_off_if_due_locked(scheduler_run_time(running));
}

void PosixTimer::go_off_if_due_locked(uint64_t used) {
  auto& [due, interval] = processor_setting_;
  if (due == 0 || used < due) return;
  uint64_t times;
  due = next_after(due, interval, used, times);
  notify_locked(times);
}

void PosixTimer::notify_locked(uint64_t times) {
  if (notice_ == TimerNotice::kNothing) return;
  if (notice_ == TimerNotice::kSignal) return signal_send_repeated_locked(process_, nullptr, signal_, times);
  for (Thread& thread : process_.threads_)
    if (thread.id() == thread_) return signal_send_repeated_locked(process_, &thread, signal_, times);
}

// ---------------------------------------------------------------- a process' timers

void posix_timers_end(Process& process) {
  List<PosixTimer, PosixTimersTag> timers;
  {
    LockGuard guard(process.timers_lock_);
    while (PosixTimer* timer = process.posix_timers_.pop_front()) timers.push_back(*timer);
    process.posix_timer_count_ = 0;
  }
  while (PosixTimer* timer = timers.pop_front()) slab_delete(timer);
}

namespace {

PosixTimer* find_locked(Process& process, uint32_t id) REQUIRES(process.timers_lock_) {
  for (PosixTimer& timer : process.posix_timers_)
    if (timer.id() == id) return &timer;
  return nullptr;
}

Result<void> delete_timer(Process& process, uint32_t id) {
  PosixTimer* timer;
  {
    LockGuard guard(process.timers_lock_);
    timer = find_locked(process, id);
    if (!timer) return Errno::kINVAL;
    process.posix_timers_.remove(*timer);
    process.posix_timer_count_--;
  }
  slab_delete(timer);
  return {};
}

Result<void> check_clock(uint32_t clock) {
  if (clock <= kThreadCpu || clock == kBoottime) return {};
  return clock >= kMonotonicRaw && clock <= kMonotonicCoarse ? Errno::kOPNOTSUPP : Errno::kINVAL;
}

struct Notice {
  TimerNotice how = TimerNotice::kSignal;
  uint32_t thread = 0;
};

// sigevent(7). Without one: SIGALRM, with the timer's number as its value.
Result<Notice> read_event(UserPtr<UserSignalEvent> where, SignalInfo& info) {
  constexpr uint32_t kNone = 1, kThread = 2, kThreadId = 4;
  info.code = kCodeTimer;
  if (where.is_null()) {
    info.number = static_cast<int32_t>(Signal::kAlarm);
    info.fields[2] = info.fields[0];
    return Notice{};
  }
  UserSignalEvent event = TRY(user_read(where));
  info.number = static_cast<int32_t>(event.signal);
  info.fields[2] = event.value;
  if (event.notify == kNone) return Notice{TimerNotice::kNothing, 0};
  if ((event.notify & ~(kThread | kThreadId)) || !is_valid_signal(event.signal)) return Errno::kINVAL;
  if (!(event.notify & kThreadId)) return Notice{};
  if (event.notify & kThread) return Errno::kINVAL;
  InterruptLockGuard guard(process_table_lock);
  for (const Thread& thread : current_process().threads_)
    if (thread.id() == event.thread) return Notice{TimerNotice::kThread, event.thread};
  return Errno::kINVAL;
}

}  // namespace

Result<uint32_t> sys_timer_create(uint32_t clock, UserPtr<UserSignalEvent> event, UserPtr<uint32_t> id_to) {
  TRY(check_clock(clock));
  Process& self = current_process();
  SignalInfo info = {};
  {
    LockGuard guard(self.timers_lock_);
    if (self.posix_timer_count_ >= self.limit(Resource::kPendingSignals)) return Errno::kAGAIN;
    self.posix_timer_count_++;
    info.fields[0] = self.next_posix_timer_++;
  }
  auto give_up = [&self](Errno error) {
    LockGuard guard(self.timers_lock_);
    self.posix_timer_count_--;
    return error;
  };
  Result<Notice> notice = read_event(event, info);
  if (!notice.ok()) return give_up(notice.error());
  auto made = slab_new<PosixTimer>(self, info.fields[0], clock, notice.value().how, notice.value().thread, info);
  if (!made.ok()) return give_up(Errno::kAGAIN);
  if (clock == kProcessCpu || clock == kThreadCpu) {
    InterruptLockGuard guard(process_table_lock);
    self.processor_timers_.push_back(*made.value());
  }
  {
    LockGuard guard(self.timers_lock_);
    self.posix_timers_.push_back(*made.value());
  }
  if (auto written = user_write(id_to, info.fields[0]); !written.ok()) {
    ignore_result(delete_timer(self, info.fields[0]));  // another thread may have guessed its number
    return written.error();
  }
  return 0u;
}

Result<uint32_t> sys_timer_delete(uint32_t id) {
  TRY(delete_timer(current_process(), id));
  return 0u;
}

Result<uint32_t> sys_timer_getoverrun(uint32_t id) {
  Process& self = current_process();
  LockGuard guard(self.timers_lock_);
  PosixTimer* timer = find_locked(self, id);
  return timer ? Result<uint32_t>(timer->overrun()) : Errno::kINVAL;
}

namespace {

template <typename Time>
Result<uint32_t> set_timer(uint32_t id, uint32_t flags, UserPtr<TimerTimes<Time>> wanted, UserPtr<TimerTimes<Time>> old) {
  if (wanted.is_null()) return Errno::kINVAL;
  TimerTimes<Time> times = TRY(user_read(wanted));
  TimerSetting setting = TRY(timer_setting_of(times)), before;
  Process& self = current_process();
  {
    LockGuard guard(self.timers_lock_);
    PosixTimer* timer = find_locked(self, id);
    if (!timer) return Errno::kINVAL;
    before = timer->value();
    timer->set(setting, flags & kAbsolute);
  }
  if (!old.is_null()) TRY(user_write(old, timer_times_of<Time>(before)));
  return 0u;
}

template <typename Time>
Result<uint32_t> get_timer(uint32_t id, UserPtr<TimerTimes<Time>> where) {
  TimerSetting now;
  Process& self = current_process();
  {
    LockGuard guard(self.timers_lock_);
    PosixTimer* timer = find_locked(self, id);
    if (!timer) return Errno::kINVAL;
    now = timer->value();
  }
  TRY(user_write(where, timer_times_of<Time>(now)));
  return 0u;
}

}  // namespace

Result<uint32_t> sys_timer_settime(uint32_t id, uint32_t flags, UserPtr<TimerTimes<Timespec32>> wanted,
                                   UserPtr<TimerTimes<Timespec32>> old) {
  return set_timer(id, flags, wanted, old);
}
Result<uint32_t> sys_timer_settime64(uint32_t id, uint32_t flags, UserPtr<TimerTimes<Timespec64>> wanted,
                                     UserPtr<TimerTimes<Timespec64>> old) {
  return set_timer(id, flags, wanted, old);
}
Result<uint32_t> sys_timer_gettime(uint32_t id, UserPtr<TimerTimes<Timespec32>> where) { return get_timer(id, where); }
Result<uint32_t> sys_timer_gettime64(uint32_t id, UserPtr<TimerTimes<Timespec64>> where) { return get_timer(id, where); }

}  // namespace faultline
