// Who a process is and becomes: ids, groups. The rules are credentials(7)'s; the 16-bit calls are the same with short numbers.
#include "kernel/calls.h"
#include "kernel/process.h"

namespace faultline {

namespace {

constexpr uint32_t kUnchanged = ~0u;

// 16-bit ids: 0xffff means "unchanged" on the way in, and what does not fit is shown as 65534.
uint32_t wide(uint16_t id) { return id == 0xffff ? kUnchanged : id; }
uint16_t narrow(uint32_t id) { return id > 0xffff ? 0xfffe : static_cast<uint16_t>(id); }

// Changes the credentials under the lock that others read them with. A change of the effective ids makes the process one that
// others may not look into.
template <typename Change>
Result<uint32_t> change_credentials(Change change) {
  Process& self = current_process();
  Credentials who = self.credentials();
  TRY(change(who));
  LockGuard guard(self.lock_);
  if (who.euid != self.credentials_.euid || who.egid != self.credentials_.egid) self.dumpable_ = false;
  self.credentials_ = who;
  return 0u;
}

// One triple, real, effective, saved, and what follows from it.
struct Ids {
  uint32_t &real, &effective, &saved, &file_system;
};
Ids user_ids(Credentials& who) { return {who.uid, who.euid, who.suid, who.fsuid}; }
Ids group_ids(Credentials& who) { return {who.gid, who.egid, who.sgid, who.fsgid}; }

bool is_one_of(const Ids& ids, uint32_t id) { return id == ids.real || id == ids.effective || id == ids.saved; }

Result<void> set_id(const Ids& ids, bool privileged, uint32_t id) {
  if (id == kUnchanged) return Errno::kINVAL;
  if (privileged)
    ids.real = ids.saved = id;
  else if (id != ids.real && id != ids.saved)
    return Errno::kPERM;
  ids.effective = ids.file_system = id;
  return {};
}

Result<void> set_real_effective(const Ids& ids, bool privileged, uint32_t real, uint32_t effective) {
  if (!privileged && real != kUnchanged && real != ids.real && real != ids.effective) return Errno::kPERM;
  if (!privileged && effective != kUnchanged && !is_one_of(ids, effective)) return Errno::kPERM;
  uint32_t old_real = ids.real;
  if (real != kUnchanged) ids.real = real;
  if (effective != kUnchanged) ids.effective = effective;
  if (real != kUnchanged || (effective != kUnchanged && effective != old_real)) ids.saved = ids.effective;
  ids.file_system = ids.effective;
  return {};
}

Result<void> set_all(const Ids& ids, bool privileged, uint32_t real, uint32_t effective, uint32_t saved) {
  for (uint32_t id : {real, effective, saved})
    if (!privileged && id != kUnchanged && !is_one_of(ids, id)) return Errno::kPERM;
  if (real != kUnchanged) ids.real = real;
  if (effective != kUnchanged) ids.effective = effective;
  if (saved != kUnchanged) ids.saved = saved;
  ids.file_system = ids.effective;
  return {};
}

Result<uint32_t> get_three(uint32_t real, uint32_t effective, uint32_t saved, UserPtr<uint32_t> a, UserPtr<uint32_t> b,
                           UserPtr<uint32_t> c) {
  TRY(user_write(a, real));
  TRY(user_write(b, effective));
  TRY(user_write(c, saved));
  return 0u;
}

uint32_t set_file_system_id(Ids ids, bool privileged, uint32_t id) {
  uint32_t old = ids.file_system;
  if (privileged || is_one_of(ids, id) || id == old) ids.file_system = id;
  return old;
}

template <typename Id>
Result<uint32_t> get_groups(uint32_t size, UserPtr<Id> list) {
  const Credentials& who = current_process().credentials();
  if (size == 0) return who.group_count;
  if (size < who.group_count) return Errno::kINVAL;
  for (uint32_t i = 0; i < who.group_count; i++) TRY(user_write(list.at(i), static_cast<Id>(who.groups[i])));
  return who.group_count;
}

template <typename Id>
Result<uint32_t> set_groups(uint32_t size, UserPtr<Id> list) {
  if (!current_process().credentials().is_superuser()) return Errno::kPERM;
  if (size > Credentials::kMaxGroups) return Errno::kINVAL;
  std::array<uint32_t, Credentials::kMaxGroups> groups{};
  for (uint32_t i = 0; i < size; i++) groups[i] = TRY(user_read(list.at(i)));
  return change_credentials([&](Credentials& who) {
    who.groups = groups;
    who.group_count = size;
    return Result<void>();
  });
}

}  // namespace

Result<uint32_t> sys_getpid() { return current_process().pid(); }
Result<uint32_t> sys_getppid() { return current_process().parent_pid(); }
Result<uint32_t> sys_gettid() { return running_thread().id(); }
Result<uint32_t> sys_getuid32() { return current_process().credentials().uid; }
Result<uint32_t> sys_geteuid32() { return current_process().credentials().euid; }
Result<uint32_t> sys_getgid32() { return current_process().credentials().gid; }
Result<uint32_t> sys_getegid32() { return current_process().credentials().egid; }
Result<uint32_t> sys_getuid() { return narrow(current_process().credentials().uid); }
Result<uint32_t> sys_geteuid() { return narrow(current_process().credentials().euid); }
Result<uint32_t> sys_getgid() { return narrow(current_process().credentials().gid); }
Result<uint32_t> sys_getegid() { return narrow(current_process().credentials().egid); }

Result<uint32_t> sys_setuid32(uint32_t id) {
  return change_credentials([&](Credentials& who) { return set_id(user_ids(who), who.is_superuser(), id); });
}
Result<uint32_t> sys_setgid32(uint32_t id) {
  return change_credentials([&](Credentials& who) { return set_id(group_ids(who), who.is_superuser(), id); });
}
Result<uint32_t> sys_setreuid32(uint32_t real, uint32_t effective) {
  return change_credentials([&](Credentials& who) { return set_real_effective(user_ids(who), who.is_superuser(), real, effective); });
}
Result<uint32_t> sys_setregid32(uint32_t real, uint32_t effective) {
  return change_credentials([&](Credentials& who) { return set_real_effective(group_ids(who), who.is_superuser(), real, effective); });
}
Result<uint32_t> sys_setresuid32(uint32_t real, uint32_t effective, uint32_t saved) {
  return change_credentials([&](Credentials& who) { return set_all(user_ids(who), who.is_superuser(), real, effective, saved); });
}
Result<uint32_t> sys_setresgid32(uint32_t real, uint32_t effective, uint32_t saved) {
  return change_credentials([&](Credentials& who) { return set_all(group_ids(who), who.is_superuser(), real, effective, saved); });
}
Result<uint32_t> sys_getresuid32(UserPtr<uint32_t> real, UserPtr<uint32_t> effective, UserPtr<uint32_t> saved) {
  const Credentials& who = current_process().credentials();
  return get_three(who.uid, who.euid, who.suid, real, effective, saved);
}
Result<uint32_t> sys_getresgid32(UserPtr<uint32_t> real, UserPtr<uint32_t> effective, UserPtr<uint32_t> saved) {
  const Credentials& who = current_process().credentials();
  return get_three(who.gid, who.egid, who.sgid, real, effective, saved);
}
Result<uint32_t> sys_setfsuid32(uint32_t id) {
  uint32_t old = 0;
  TRY(change_credentials([&](Credentials& who) {
    old = set_file_system_id(user_ids(who), who.is_superuser(), id);
    return Result<void>();
  }));
  return old;
}
Result<uint32_t> sys_setfsgid32(uint32_t id) {
  uint32_t old = 0;
  TRY(change_credentials([&](Credentials& who) {
    old = set_file_system_id(group_ids(who), who.is_superuser(), id);
    return Result<void>();
  }));
  return old;
}

Result<uint32_t> sys_getgroups32(uint32_t size, UserPtr<uint32_t> list) { return get_groups(size, list); }
Result<uint32_t> sys_setgroups32(uint32_t size, UserPtr<uint32_t> list) { return set_groups(size, list); }
Result<uint32_t> sys_getgroups(uint32_t size, UserPtr<uint16_t> list) { return get_groups(size, list); }
Result<uint32_t> sys_setgroups(uint32_t size, UserPtr<uint16_t> list) { return set_groups(size, list); }
Result<uint32_t> sys_setuid(uint16_t id) { return sys_setuid32(wide(id)); }
Result<uint32_t> sys_setgid(uint16_t id) { return sys_setgid32(wide(id)); }
Result<uint32_t> sys_setreuid(uint16_t real, uint16_t effective) { return sys_setreuid32(wide(real), wide(effective)); }
Result<uint32_t> sys_setregid(uint16_t real, uint16_t effective) { return sys_setregid32(wide(real), wide(effective)); }

}  // namespace faultline
