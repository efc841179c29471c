// sched_setscheduler and its kin: scheduling policies and real-time priorities. See sched(7). SCHED_DEADLINE is not there: EINVAL, as for
// any unknown policy.
#include "kernel/calls.h"
#include "kernel/process.h"
#include "kernel/run_queue.h"
#include "kernel/scheduler.h"
#include "kernel/scheduling_rights.h"

namespace faultline {

namespace {

constexpr uint32_t kResetOnFork = 0x40000000;
constexpr uint32_t kLeastPriority = 1, kMostPriority = 99;

bool is_known(uint32_t policy) {
  return policy <= static_cast<uint32_t>(SchedulingPolicy::kBatch) || policy == static_cast<uint32_t>(SchedulingPolicy::kIdle);
}
bool is_real_time(SchedulingPolicy policy) { return policy == SchedulingPolicy::kFifo || policy == SchedulingPolicy::kRoundRobin; }

struct Wish {
  SchedulingPolicy policy;
  uint8_t priority;
  bool reset_on_fork;
};

Result<Wish> wish_of(uint32_t policy, uint32_t priority) {
  bool reset = policy & kResetOnFork;
  policy &= ~kResetOnFork;
  if (!is_known(policy) || priority > kMostPriority) return Errno::kINVAL;
  auto known = static_cast<SchedulingPolicy>(policy);
  if (is_real_time(known) != (priority != 0)) return Errno::kINVAL;
  return Wish{known, static_cast<uint8_t>(priority), reset};
}

// What those without privilege may do: less than now always, more as RLIMIT_RTPRIO and RLIMIT_NICE allow.
bool may_become(const Thread& thread, const Wish& wish) {
  if (current_process().credentials().is_superuser()) return true;
  uint64_t limit = thread.process().limit(Resource::kRealTimePriority);
  if (is_real_time(wish.policy)) {
    if (wish.policy != thread.policy && limit == 0) return false;
    if (wish.priority > thread.own_priority && wish.priority > limit) return false;
  }
  bool leaves_idle = thread.policy == SchedulingPolicy::kIdle && wish.policy != SchedulingPolicy::kIdle;
  if (leaves_idle && static_cast<uint64_t>(20 - thread.nice) > thread.process().limit(Resource::kNice)) return false;
  if (thread.reset_on_fork && !wish.reset_on_fork) return false;
  return may_schedule(thread);
}

// A null `policy` keeps the thread's.
Result<uint32_t> set_scheduler(int32_t tid, const uint32_t* policy, UserPtr<uint32_t> from) {
  if (tid < 0 || from.is_null()) return Errno::kINVAL;
  uint32_t priority = TRY(user_read(from));
  InterruptLockGuard guard(process_table_lock);
  Thread* thread = thread_named_locked(static_cast<uint32_t>(tid));
  if (!thread) return Errno::kSRCH;
  uint32_t present = static_cast<uint32_t>(thread->policy) | (thread->reset_on_fork ? kResetOnFork : 0);
  Wish wish = TRY(wish_of(policy ? *policy : present, priority));
  if (!may_become(*thread, wish)) return Errno::kPERM;
  thread->reset_on_fork = wish.reset_on_fork;
  scheduler_set_policy(*thread, wish.policy, thread->nice);
  priority_set_own(*thread, wish.priority);
  return 0u;
}

struct View {
  SchedulingPolicy policy;
  uint8_t priority;
  bool reset_on_fork;
};

Result<View> view_of(int32_t tid) {
  if (tid < 0) return Errno::kINVAL;
  InterruptLockGuard guard(process_table_lock);
  const Thread* thread = thread_named_locked(static_cast<uint32_t>(tid));
  if (!thread) return Errno::kSRCH;
  return View{thread->policy, thread->own_priority, thread->reset_on_fork};
}

// What SCHED_RR gives, nothing for SCHED_FIFO, and a tick for the others.
Result<uint64_t> interval_of(int32_t tid) {
  constexpr uint64_t kFairSlice = 10'000'000;
  View view = TRY(view_of(tid));
  if (view.policy == SchedulingPolicy::kFifo) return 0ull;
  return view.policy == SchedulingPolicy::kRoundRobin ? RunQueue::kRoundRobinSlice : kFairSlice;
}

Result<uint32_t> priority_limit(uint32_t policy, uint32_t real_time) {
  if (!is_known(policy)) return Errno::kINVAL;
  return is_real_time(static_cast<SchedulingPolicy>(policy)) ? real_time : 0;
}

}  // namespace

Result<uint32_t> sys_sched_setscheduler(int32_t tid, int32_t policy, UserPtr<uint32_t> priority) {
  if (policy < 0) return Errno::kINVAL;
  auto wanted = static_cast<uint32_t>(policy);
  return set_scheduler(tid, &wanted, priority);
}

Result<uint32_t> sys_sched_setparam(int32_t tid, UserPtr<uint32_t> priority) { return set_scheduler(tid, nullptr, priority); }

Result<uint32_t> sys_sched_getscheduler(int32_t tid) {
  View view = TRY(view_of(tid));
  return static_cast<uint32_t>(view.policy) | (view.reset_on_fork ? kResetOnFork : 0);
}

Result<uint32_t> sys_sched_getparam(int32_t tid, UserPtr<uint32_t> where) {
  if (where.is_null()) return Errno::kINVAL;
  View view = TRY(view_of(tid));
  TRY(user_write(where, uint32_t{view.priority}));
  return 0u;
}

Result<uint32_t> sys_sched_get_priority_max(uint32_t policy) { return priority_limit(policy, kMostPriority); }
Result<uint32_t> sys_sched_get_priority_min(uint32_t policy) { return priority_limit(policy, kLeastPriority); }

Result<uint32_t> sys_sched_rr_get_interval(int32_t tid, UserPtr<Timespec32> where) {
  uint64_t interval = TRY(interval_of(tid));
  TRY(user_write(where, timespec32_of(interval)));
  return 0u;
}

Result<uint32_t> sys_sched_rr_get_interval_time64(int32_t tid, UserPtr<Timespec64> where) {
  uint64_t interval = TRY(interval_of(tid));
  TRY(user_write(where, timespec64_of(interval)));
  return 0u;
}

}  // namespace faultline
