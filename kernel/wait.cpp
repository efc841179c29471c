// wait4, waitpid, waitid: what children have to report, and the end of zombies. See wait(2).
#include "kernel/calls.h"
#include "kernel/pid.h"
#include "kernel/process.h"
#include "kernel/reap.h"
#include "kernel/signal_internal.h"
#include "kernel/usage.h"

namespace faultline {

ReapedList::~ReapedList() {
  while (Process* process = list_.pop_front()) process->release();
}

void reap_locked(Process& zombie, ReapedList& reaped) {
  if (zombie.parent_) {
    zombie.parent_->children_.remove(zombie);
    zombie.parent_ = nullptr;
  }
  all_processes().remove(zombie);
  pid_forget_locked(zombie.pid_);
  pid_release_locked(zombie.group_);
  pid_release_locked(zombie.session_);
  reaped.add(zombie);
}

namespace {

constexpr uint32_t kNoHang = 1, kStopped = 2, kExited = 4, kContinued = 8, kNoWait = 0x1000000, kNoThread = 0x20000000, kAll = 0x40000000,
                   kClone = 0x80000000;

enum class Which : uint8_t { kAny, kProcess, kGroup };

struct Question {
  Which which = Which::kAny;
  uint32_t id = 0;
  uint32_t options = 0;
};

struct Report {
  uint32_t pid = 0;  // 0: nothing to report yet
  uint32_t uid = 0;
  uint32_t status = 0;  // as wait(2)
  ResourceUsage usage;
};

bool matches(const Process& child, const Question& question) {
  bool is_clone = child.exit_signal_ != Signal::kChild;
  if (!(question.options & kAll) && is_clone != ((question.options & kClone) != 0)) return false;
  if (question.which == Which::kProcess) return child.pid_ == question.id;
  if (question.which == Which::kGroup) return child.group_ == question.id;
  return true;
}

ResourceUsage total_usage(const Process& zombie) {
  ResourceUsage usage = zombie.ended_threads_;
  usage.add(zombie.waited_children_);
  return usage;
}

// One look at the children. kCHILD: none matches, now or later.
Result<Report> look(Process& self, const Question& question) {
  ReapedList reaped;
  InterruptLockGuard guard(process_table_lock);
  bool any = false;
  for (Process& child : self.children_) {
    if (!matches(child, question)) continue;
    any = true;
    Report report{child.pid_, child.credentials_.uid, 0, {}};
    if (child.state_ == ProcessState::kZombie) {
      if (!(question.options & kExited)) continue;
      report.status = child.exit_status_;
      report.usage = total_usage(child);
      if (question.options & kNoWait) return report;
      self.waited_children_.add(report.usage);
      reap_locked(child, reaped);
      return report;
    }
    uint32_t wanted = child.stop_report_ == 0xffff ? kContinued : kStopped;
    if (child.stop_report_ == 0 || !(question.options & wanted)) continue;
    report.status = child.stop_report_;
    if (!(question.options & kNoWait)) child.stop_report_ = 0;
    return report;
  }
  if (!any) return Errno::kCHILD;
  return Report{};
}

Result<Report> wait_for(const Question& question) {
  Process& self = current_process();
  Result<Report> report = look(self, question);
  if (!report.ok() || report.value().pid != 0 || (question.options & kNoHang)) return report;
  Result<void> waited = wait_until(
      self.child_events_,
      [&] {
        report = look(self, question);
        return !report.ok() || report.value().pid != 0;
      },
      SleepKind::kInterruptible);
  if (!waited.ok()) return Errno::kRESTARTSYS;
  return report;
}

Result<uint32_t> wait4(int32_t pid, UserPtr<uint32_t> status, uint32_t options, UserPtr<UserUsage> usage) {
  constexpr uint32_t kKnown = kNoHang | kStopped | kContinued | kNoThread | kAll | kClone;
  if (options & ~kKnown) return Errno::kINVAL;
  if (pid == INT32_MIN) return Errno::kSRCH;
  Question question;
  question.options = options | kExited;
  if (pid > 0) {
    question.which = Which::kProcess;
    question.id = static_cast<uint32_t>(pid);
  } else if (pid != -1) {
    question.which = Which::kGroup;
    question.id = pid == 0 ? current_process().group() : static_cast<uint32_t>(-pid);
  }
  Report report = TRY(wait_for(question));
  thread_cache_trim();
  if (report.pid == 0) return 0u;
  if (!status.is_null()) TRY(user_write(status, report.status));
  if (!usage.is_null()) TRY(user_write(usage, user_usage_of(report.usage)));
  return report.pid;
}

SignalInfo information_of(const Report& report) {
  SignalInfo info = {};
  if (report.pid == 0) return info;
  info.number = static_cast<int32_t>(Signal::kChild);
  info.fields[0] = report.pid;
  info.fields[1] = report.uid;
  uint32_t status = report.status;
  if (status == 0xffff) {
    info.code = kCodeContinued;
    info.fields[2] = static_cast<uint32_t>(Signal::kContinue);
  } else if ((status & 0xff) == 0x7f) {
    info.code = kCodeStopped;
    info.fields[2] = status >> 8;
  } else if (status & 0x7f) {
    info.code = status & 0x80 ? kCodeDumped : kCodeKilled;
    info.fields[2] = status & 0x7f;
  } else {
    info.code = kCodeExited;
    info.fields[2] = status >> 8;
  }
  return info;
}

}  // namespace

Result<uint32_t> sys_wait4(int32_t pid, UserPtr<uint32_t> status, uint32_t options, UserPtr<UserUsage> usage) {
  return wait4(pid, status, options, usage);
}

Result<uint32_t> sys_waitpid(int32_t pid, UserPtr<uint32_t> status, uint32_t options) { return wait4(pid, status, options, {}); }

Result<uint32_t> sys_waitid(uint32_t type, uint32_t id, UserPtr<uint8_t> info, uint32_t options, UserPtr<UserUsage> usage) {
  constexpr uint32_t kEvents = kExited | kStopped | kContinued;
  if (options & ~(kEvents | kNoHang | kNoWait | kNoThread | kAll | kClone) || !(options & kEvents)) return Errno::kINVAL;
  Question question;
  question.options = options;
  question.id = id;
  constexpr uint32_t kTypeAll = 0, kTypeProcess = 1, kTypeGroup = 2;
  if (type == kTypeProcess) {
    if (id == 0 || id > INT32_MAX) return Errno::kINVAL;
    question.which = Which::kProcess;
  } else if (type == kTypeGroup) {
    if (id > INT32_MAX) return Errno::kINVAL;
    question.which = Which::kGroup;
    if (id == 0) question.id = current_process().group();
  } else if (type != kTypeAll) {
    return Errno::kINVAL;
  }
  Report report = TRY(wait_for(question));
  thread_cache_trim();
  if (!usage.is_null() && report.pid != 0) TRY(user_write(usage, user_usage_of(report.usage)));
  if (!info.is_null()) TRY(user_write(info.as<SignalInfo>(), information_of(report)));
  return 0u;
}

}  // namespace faultline
