// What a thread sets about itself: where its end is announced, prctl, personality.
#include "kernel/calls.h"
#include "kernel/process.h"

namespace faultline {

Result<uint32_t> sys_set_tid_address(uint32_t address) {
  running_thread().clear_child_tid = address;
  return running_thread().id();
}

Result<uint32_t> sys_personality(uint32_t wanted) {
  Process& self = current_process();
  uint32_t old = self.personality_;
  if (wanted == ~0u) return old;
  self.personality_ = wanted;
  self.space().set_reading_executes(wanted & kReadImpliesExecute);
  return old;
}

namespace {

Result<uint32_t> set_name(UserPtr<const char> from) {
  char name[Thread::kNameLimit] = {};
  int32_t length = user_copy_string_in(name, from.address(), Thread::kNameLimit - 1);
  if (length < 0) return Errno::kFAULT;
  name[Thread::kNameLimit - 1] = '\0';
  Thread& self = running_thread();
  memcpy(self.name, name, sizeof self.name);
  if (self.id() == self.process().pid_) memcpy(self.process().name_, name, sizeof name);
  return 0u;
}

}  // namespace

Result<uint32_t> sys_prctl(uint32_t option, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  constexpr uint32_t kSetDeathSignal = 1, kGetDeathSignal = 2, kGetDumpable = 3, kSetDumpable = 4, kSetName = 15, kGetName = 16,
                     kSetNoNewPrivileges = 38, kGetNoNewPrivileges = 39;
  Process& self = current_process();
  switch (option) {
    case kSetDeathSignal:
      if (a > 64) return Errno::kINVAL;
      self.parent_death_signal_ = static_cast<Signal>(a);
      return 0u;
    case kGetDeathSignal: TRY(user_write(UserPtr<uint32_t>(a), static_cast<uint32_t>(self.parent_death_signal_))); return 0u;
    case kGetDumpable: return self.dumpable_ ? 1u : 0u;
    case kSetDumpable:
      if (a > 1) return Errno::kINVAL;
      self.dumpable_ = a;
      return 0u;
    case kSetName: return set_name(UserPtr<const char>(a));
    case kGetName: TRY(user_write_bytes(VirtAddr(a), running_thread().name, Thread::kNameLimit)); return 0u;
    case kSetNoNewPrivileges:
      if (a != 1 || b || c || d) return Errno::kINVAL;
      self.no_new_privileges_ = true;
      return 0u;
    case kGetNoNewPrivileges:
      if (a || b || c || d) return Errno::kINVAL;
      return self.no_new_privileges_ ? 1u : 0u;
    default: return Errno::kINVAL;
  }
}

// No program gets at the ports.
Result<uint32_t> sys_ioperm(uint32_t, uint32_t, uint32_t) { return Errno::kPERM; }
Result<uint32_t> sys_iopl(uint32_t level) {
  if (level > 3) return Errno::kINVAL;
  return level == 0 ? Result<uint32_t>(0u) : Errno::kPERM;
}

}  // namespace faultline
