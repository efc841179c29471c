// Priorities, policies, processors: what a program may say about when and where it runs. There is one policy, SCHED_OTHER; the others are
// accepted from the superuser's hands by Linux and refused here.
#include "kernel/calls.h"
#include "kernel/pid.h"
#include "kernel/process.h"
#include "kernel/scheduler.h"

namespace faultline {

namespace {

constexpr uint32_t kPolicyOther = 0, kPolicyBatch = 3, kPolicyIdle = 5;

// The thread with this id, or the caller for 0.
Thread* find_thread_locked(uint32_t tid) REQUIRES(process_table_lock) {
  if (tid == 0) return &running_thread();
  Process* process = pid_find_locked(tid);
  if (!process) return nullptr;
  for (Thread& thread : process->threads_)
    if (thread.id() == tid) return &thread;
  return nullptr;
}

bool may_change(const Thread& thread) {
  const Credentials &mine = current_process().credentials(), &theirs = thread.process().credentials();
  return mine.is_superuser() || mine.euid == theirs.uid || mine.euid == theirs.euid;
}

// Calls `action` for each process that getpriority(2)'s arguments select.
template <typename Action>
Result<bool> for_selected_locked(uint32_t which, uint32_t who, Action action) REQUIRES(process_table_lock) {
  constexpr uint32_t kProcess = 0, kGroup = 1, kUser = 2;
  if (which > kUser) return Errno::kINVAL;
  Process& self = current_process();
  bool found = false;
  for (uint32_t pid = pid_next_process_locked(1); pid != 0; pid = pid_next_process_locked(pid + 1)) {
    Process& process = *pid_find_locked(pid);
    if (process.state_ == ProcessState::kZombie) continue;
    bool selected = which == kProcess ? process.pid_ == (who ? who : self.pid_)
                    : which == kGroup ? process.group_ == (who ? who : self.group_)
                                      : process.credentials_.uid == (who ? who : self.credentials_.uid);
    if (!selected) continue;
    found = true;
    action(process);
  }
  return found;
}

}  // namespace

// The value is 20 minus nice, so that it is never negative.
Result<uint32_t> sys_getpriority(uint32_t which, uint32_t who) {
  int best = 20;
  InterruptLockGuard guard(process_table_lock);
  bool found = TRY(for_selected_locked(which, who, [&](Process& process) {
    for (Thread& thread : process.threads_)
      if (thread.nice < best) best = thread.nice;
  }));
  if (!found) return Errno::kSRCH;
  return static_cast<uint32_t>(20 - best);
}

Result<uint32_t> sys_setpriority(uint32_t which, uint32_t who, int32_t nice) {
  nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
  bool denied = false, lowered = false;
  InterruptLockGuard guard(process_table_lock);
  bool found = TRY(for_selected_locked(which, who, [&](Process& process) {
    for (Thread& thread : process.threads_) {
      if (!may_change(thread))
        denied = true;
      else if (nice < thread.nice && !current_process().credentials().is_superuser())
        lowered = true;
      else
        scheduler_set_nice(thread, nice);
    }
  }));
  if (!found) return Errno::kSRCH;
  if (denied) return Errno::kPERM;
  if (lowered) return Errno::kACCES;
  return 0u;
}

Result<uint32_t> sys_nice(int32_t increment) {
  Thread& self = running_thread();
  if (increment < -40) increment = -40;
  if (increment > 40) increment = 40;
  int nice = self.nice + increment;
  nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
  if (nice < self.nice && !current_process().credentials().is_superuser()) return Errno::kPERM;
  scheduler_set_nice(self, nice);
  return 0u;
}

Result<uint32_t> sys_sched_yield() {
  yield();
  return 0u;
}

Result<uint32_t> sys_sched_getaffinity(uint32_t tid, uint32_t bytes, UserPtr<uint32_t> where) {
  if (bytes < sizeof(uint32_t) || (bytes & 3)) return Errno::kINVAL;
  CpuMask allowed;
  {
    InterruptLockGuard guard(process_table_lock);
    Thread* thread = find_thread_locked(tid);
    if (!thread) return Errno::kSRCH;
    allowed = thread->allowed_cpus & (cpu_bit(cpu_count()) - 1);
  }
  TRY(user_write(where, allowed));
  return static_cast<uint32_t>(sizeof(CpuMask));
}

Result<uint32_t> sys_sched_setaffinity(uint32_t tid, uint32_t bytes, UserPtr<uint32_t> from) {
  CpuMask wanted = 0;
  uint32_t used = bytes < sizeof wanted ? bytes : static_cast<uint32_t>(sizeof wanted);
  TRY(user_read_bytes(&wanted, from.address(), used));
  wanted &= cpu_bit(cpu_count()) - 1;
  if (wanted == 0) return Errno::kINVAL;
  bool is_self;
  {
    InterruptLockGuard guard(process_table_lock);
    Thread* thread = find_thread_locked(tid);
    if (!thread) return Errno::kSRCH;
    if (!may_change(*thread)) return Errno::kPERM;
    is_self = thread == &running_thread();
    if (!is_self) scheduler_set_allowed(*thread, wanted);
  }
  if (is_self) scheduler_set_allowed(running_thread(), wanted);  // may sleep to move
  return 0u;
}

Result<uint32_t> sys_sched_getscheduler(uint32_t tid) {
  InterruptLockGuard guard(process_table_lock);
  if (!find_thread_locked(tid)) return Errno::kSRCH;
  return kPolicyOther;
}

Result<uint32_t> sys_sched_setscheduler(uint32_t tid, uint32_t policy, UserPtr<uint32_t> priority) {
  uint32_t value = TRY(user_read(priority));
  InterruptLockGuard guard(process_table_lock);
  if (!find_thread_locked(tid)) return Errno::kSRCH;
  bool is_ordinary = policy == kPolicyOther || policy == kPolicyBatch || policy == kPolicyIdle;
  if (is_ordinary && value == 0) return 0u;
  return is_ordinary || policy > 6 ? Errno::kINVAL : Errno::kPERM;
}

Result<uint32_t> sys_sched_getparam(uint32_t tid, UserPtr<uint32_t> priority) {
  {
    InterruptLockGuard guard(process_table_lock);
    if (!find_thread_locked(tid)) return Errno::kSRCH;
  }
  TRY(user_write(priority, 0u));
  return 0u;
}

Result<uint32_t> sys_sched_setparam(uint32_t tid, UserPtr<uint32_t> priority) {
  uint32_t value = TRY(user_read(priority));
  InterruptLockGuard guard(process_table_lock);
  if (!find_thread_locked(tid)) return Errno::kSRCH;
  return value == 0 ? Result<uint32_t>(0u) : Errno::kINVAL;
}

Result<uint32_t> sys_sched_get_priority_max(uint32_t policy) {
  if (policy == 1 || policy == 2) return 99u;
  return policy <= kPolicyIdle ? Result<uint32_t>(0u) : Errno::kINVAL;
}

Result<uint32_t> sys_sched_get_priority_min(uint32_t policy) {
  if (policy == 1 || policy == 2) return 1u;
  return policy <= kPolicyIdle ? Result<uint32_t>(0u) : Errno::kINVAL;
}

Result<uint32_t> sys_sched_rr_get_interval(uint32_t tid, UserPtr<Timespec32> where) {
  {
    InterruptLockGuard guard(process_table_lock);
    if (!find_thread_locked(tid)) return Errno::kSRCH;
  }
  TRY(user_write(where, {0, 6'000'000}));
  return 0u;
}

Result<uint32_t> sys_getcpu(UserPtr<uint32_t> cpu, UserPtr<uint32_t> node, uint32_t) {
  if (!cpu.is_null()) TRY(user_write(cpu, this_cpu()));
  if (!node.is_null()) TRY(user_write(node, 0u));
  return 0u;
}

}  // namespace faultline
