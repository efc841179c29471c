// Limits and what has been used: getrlimit and its kin, getrusage.
#include "kernel/calls.h"
#include "kernel/pid.h"
#include "kernel/process.h"
#include "kernel/usage.h"

namespace faultline {

struct UserLimit {
  uint32_t current, maximum;
};
struct UserLimit64 {
  uint64_t current, maximum;
};

UserUsage user_usage_of(const ResourceUsage& usage) {
  UserUsage result;
  result.user_time = timeval32_of(usage.user_time);
  result.kernel_time = timeval32_of(usage.kernel_time);
  result.peak_resident_kib = usage.peak_resident_pages * (kPageSize / 1024);
  result.minor_faults = static_cast<uint32_t>(usage.minor_faults);
  result.major_faults = static_cast<uint32_t>(usage.major_faults);
  result.voluntary_switches = static_cast<uint32_t>(usage.voluntary_switches);
  result.involuntary_switches = static_cast<uint32_t>(usage.involuntary_switches);
  return result;
}

namespace {

constexpr uint32_t kUnlimited32 = ~0u, kOldUnlimited32 = 0x7fffffff;

uint64_t widen(uint32_t limit) { return limit == kUnlimited32 ? kUnlimited : limit; }
uint32_t narrow(uint64_t limit, uint32_t unlimited) { return limit >= unlimited ? unlimited : static_cast<uint32_t>(limit); }

// `wanted` null: only asks. The target may be the caller or a process of the same user.
Result<Limit> exchange_limit(Process& target, uint32_t which, const Limit* wanted) {
  if (which >= kResourceCount) return Errno::kINVAL;
  Limit old;
  {
    LockGuard guard(target.lock_);
    Limit& limit = target.limits_[which];
    old = limit;
    if (!wanted) return old;
    if (wanted->current > wanted->maximum) return Errno::kINVAL;
    if (wanted->maximum > old.maximum && !current_process().credentials().is_superuser()) return Errno::kPERM;
    if (which == static_cast<uint32_t>(Resource::kOpenFiles) && wanted->maximum > (1u << 20)) return Errno::kPERM;
    limit = *wanted;
  }
  bool shapes_memory = which == static_cast<uint32_t>(Resource::kStack) || which == static_cast<uint32_t>(Resource::kAddressSpace);
  if (Ref<AddressSpace> space = shapes_memory ? target.shared_space() : Ref<AddressSpace>())
    space->set_limits(target.limit(Resource::kStack), target.limit(Resource::kAddressSpace));
  return old;
}

}  // namespace

Result<uint32_t> sys_ugetrlimit(uint32_t which, UserPtr<UserLimit> where) {
  Limit limit = TRY(exchange_limit(current_process(), which, nullptr));
  TRY(user_write(where, {narrow(limit.current, kUnlimited32), narrow(limit.maximum, kUnlimited32)}));
  return 0u;
}

// The old call knew only 31 bits.
Result<uint32_t> sys_getrlimit(uint32_t which, UserPtr<UserLimit> where) {
  Limit limit = TRY(exchange_limit(current_process(), which, nullptr));
  TRY(user_write(where, {narrow(limit.current, kOldUnlimited32), narrow(limit.maximum, kOldUnlimited32)}));
  return 0u;
}

Result<uint32_t> sys_setrlimit(uint32_t which, UserPtr<UserLimit> from) {
  UserLimit user = TRY(user_read(from));
  Limit limit{widen(user.current), widen(user.maximum)};
  TRY(exchange_limit(current_process(), which, &limit));
  return 0u;
}

Result<uint32_t> sys_prlimit64(uint32_t pid, uint32_t which, UserPtr<UserLimit64> wanted, UserPtr<UserLimit64> old) {
  Process& self = current_process();
  Ref<Process> target = pid == 0 ? Ref<Process>(self) : Process::find(pid);
  if (!target) return Errno::kSRCH;
  const Credentials &mine = self.credentials(), &theirs = target->credentials();
  bool is_own = mine.uid == theirs.uid && mine.uid == theirs.euid && mine.uid == theirs.suid && mine.gid == theirs.gid;
  if (target.get() != &self && !is_own && !mine.is_superuser()) return Errno::kPERM;
  Limit limit;
  if (!wanted.is_null()) {
    UserLimit64 user = TRY(user_read(wanted));
    limit = {user.current, user.maximum};
  }
  Limit before = TRY(exchange_limit(*target, which, wanted.is_null() ? nullptr : &limit));
  if (!old.is_null()) TRY(user_write(old, {before.current, before.maximum}));
  return 0u;
}

Result<uint32_t> sys_getrusage(int32_t who, UserPtr<UserUsage> where) {
  constexpr int32_t kSelf = 0, kChildren = -1, kThread = 1;
  Process& self = current_process();
  ResourceUsage usage;
  if (who == kSelf) {
    usage = self.usage();
  } else if (who == kChildren) {
    InterruptLockGuard guard(process_table_lock);
    usage = self.waited_children_;
  } else if (who == kThread) {
    usage = thread_usage(running_thread());
    usage.peak_resident_pages = self.usage().peak_resident_pages;
  } else {
    return Errno::kINVAL;
  }
  TRY(user_write(where, user_usage_of(usage)));
  return 0u;
}

}  // namespace faultline
