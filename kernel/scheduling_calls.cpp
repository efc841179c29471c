// Nice values, processors, yielding: what a program may say about when and where it runs. Policies are policy_calls.cpp's.
#include "kernel/calls.h"
#include "kernel/pid.h"
#include "kernel/process.h"
#include "kernel/scheduler.h"
#include "kernel/scheduling_rights.h"

namespace faultline {

Thread* thread_named_locked(uint32_t tid) { return tid == 0 ? &running_thread() : pid_find_thread_locked(tid); }

bool may_schedule(const Thread& thread) {
  const Credentials &mine = current_process().credentials(), &theirs = thread.process().credentials();
  return mine.is_superuser() || mine.euid == theirs.uid || mine.euid == theirs.euid;
}

bool may_become_nicer_than(const Thread& thread, int nice) {
  if (nice >= thread.nice || current_process().credentials().is_superuser()) return true;
  // RLIMIT_NICE counts from 1 for 19 to 40 for -20.
  return static_cast<uint64_t>(20 - nice) <= thread.process().limit(Resource::kNice);
}

namespace {

int clamped(int nice) { return nice < -20 ? -20 : nice > 19 ? 19 : nice; }

// Calls `action` for each thread that getpriority(2)'s arguments select: PRIO_PROCESS is one thread, as on Linux.
template <typename Action>
Result<bool> for_selected_locked(uint32_t which, uint32_t who, Action action) REQUIRES(process_table_lock) {
  constexpr uint32_t kThread = 0, kGroup = 1, kUser = 2;
  if (which > kUser) return Errno::kINVAL;
  Process& self = current_process();
  if (which == kThread) {
    Thread* thread = thread_named_locked(who);
    if (thread) action(*thread);
    return thread != nullptr;
  }
  bool found = false;
  for (uint32_t pid = pid_next_process_locked(1); pid != 0; pid = pid_next_process_locked(pid + 1)) {
    Process& process = *pid_find_locked(pid);
    bool selected =
        which == kGroup ? process.group_ == (who ? who : self.group_) : process.credentials_.uid == (who ? who : self.credentials_.uid);
    if (!selected) continue;
    for (Thread& thread : process.threads_) {
      found = true;
      action(thread);
    }
  }
  return found;
}

}  // namespace

// The value is 20 minus nice, so that it is never negative.
Result<uint32_t> sys_getpriority(uint32_t which, uint32_t who) {
  int best = 20;
  InterruptLockGuard guard(process_table_lock);
  bool found = TRY(for_selected_locked(which, who, [&](Thread& thread) {
    if (thread.nice < best) best = thread.nice;
  }));
  if (!found) return Errno::kSRCH;
  return static_cast<uint32_t>(20 - best);
}

Result<uint32_t> sys_setpriority(uint32_t which, uint32_t who, int32_t nice) {
  nice = clamped(nice);
  bool denied = false, refused = false;
  InterruptLockGuard guard(process_table_lock);
  bool found = TRY(for_selected_locked(which, who, [&](Thread& thread) {
    if (!may_schedule(thread))
      denied = true;
    else if (!may_become_nicer_than(thread, nice))
      refused = true;
    else
      scheduler_set_nice(thread, nice);
  }));
  if (!found) return Errno::kSRCH;
  if (denied) return Errno::kPERM;
  if (refused) return Errno::kACCES;
  return 0u;
}

Result<uint32_t> sys_nice(int32_t increment) {
  Thread& self = running_thread();
  int nice = clamped(self.nice + (increment < -40 ? -40 : increment > 40 ? 40 : increment));
  if (!may_become_nicer_than(self, nice)) return Errno::kPERM;
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
    Thread* thread = thread_named_locked(tid);
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
  {
    InterruptLockGuard guard(process_table_lock);
    Thread* thread = thread_named_locked(tid);
    if (!thread) return Errno::kSRCH;
    if (!may_schedule(*thread)) return Errno::kPERM;
    wanted &= cpu_bit(cpu_count()) - 1;
    if (wanted == 0) return Errno::kINVAL;
    scheduler_set_allowed(*thread, wanted);
  }
  if (running_thread().work.load(memory_order_relaxed) & kWorkMove) scheduler_move_self();
  return 0u;
}

Result<uint32_t> sys_getcpu(UserPtr<uint32_t> cpu, UserPtr<uint32_t> node, uint32_t) {
  if (!cpu.is_null()) TRY(user_write(cpu, this_cpu()));
  if (!node.is_null()) TRY(user_write(node, 0u));
  return 0u;
}

}  // namespace faultline
