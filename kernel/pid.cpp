// Process numbers: see pid.h. Given out in rising order, so that a number comes back as late as possible.
#include "kernel/pid.h"

#include <array>

#include "kernel/process.h"
#include "lib/abi/message.h"

namespace faultline {

namespace {

struct Slot {
  Process* process = nullptr;
  uint16_t users = 0;
  uint16_t round = 0;  // in which the number was given out last
};

constinit std::array<Slot, kPidLimit> slots GUARDED_BY(process_table_lock);
constinit uint32_t last_number GUARDED_BY(process_table_lock) = 0;
constinit uint16_t current_round GUARDED_BY(process_table_lock) = 0;
static_assert(kPidLimit < 0xffff, "a number has at most a group's and a session's processes as users");
constexpr uint32_t kFirstAfterWrap = 300;  // low numbers belong to what was started at boot

}  // namespace

Result<uint32_t> pid_allocate_locked(Process& process) {
  for (uint32_t tries = 0; tries < kPidLimit; tries++) {
    if (++last_number == kPidLimit) {
      last_number = kFirstAfterWrap;
      current_round++;
    }
    Slot& slot = slots[last_number];
    if (slot.users != 0) continue;
    slot = {&process, 1, current_round};
    return last_number;
  }
  return Errno::kAGAIN;
}

void pid_acquire_locked(uint32_t number) { slots[number].users++; }

void pid_release_locked(uint32_t number) {
  ASSERT(slots[number].users != 0);
  slots[number].users--;
}

void pid_forget_locked(uint32_t number) {
  slots[number].process = nullptr;
  pid_release_locked(number);
}

Process* pid_find_locked(uint32_t number) { return number < kPidLimit ? slots[number].process : nullptr; }

Thread* pid_find_thread_locked(uint32_t number) {
  Process* process = pid_find_locked(number);
  if (!process) return nullptr;
  for (Thread& thread : process->threads_)
    if (thread.id() == number) return &thread;
  return nullptr;
}

uint32_t pid_identity_locked(uint32_t number) { return abi::kMessageIdentity | uint32_t{slots[number].round} << kPidBits | number; }

uint32_t pid_next_process_locked(uint32_t number) {
  for (; number < kPidLimit; number++)
    if (Process* process = slots[number].process; process && process->pid_ == number) return number;
  return 0;
}

uint32_t pid_last() NO_THREAD_SAFETY_ANALYSIS { return last_number; }

}  // namespace faultline
