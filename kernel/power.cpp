// The end of the machine: see power.h.
#include "kernel/power.h"

#include "arch/clock.h"
#include "arch/cpu.h"
#include "arch/power.h"
#include "drivers/serial.h"
#include "kernel/process.h"
#include "kernel/signal_internal.h"
#include "lib/log.h"
#include "fs/mount.h"

namespace faultline {

namespace {

constexpr uint64_t kDrainPatience = 5'000'000'000;  // ns

// Everybody else gets SIGKILL, and a moment to go.
void end_other_processes() {
  {
    InterruptLockGuard guard(process_table_lock);
    for (Process& process : all_processes())
      if (process.pid() != 1 && &process != &current_process())
        ignore_result(signal_send_locked(process, signal_info_from_kernel(Signal::kKill)));  // not real-time: cannot fail
  }
  uint64_t end = clock_monotonic() + 500'000'000;
  while (clock_monotonic() < end) {
    bool others = false;
    {
      InterruptLockGuard guard(process_table_lock);
      for (Process& process : all_processes())
        others |= process.pid() != 1 && &process != &current_process() && process.state() != ProcessState::kZombie;
    }
    if (!others) return;
    ignore_result(block(SleepKind::kUninterruptible, Deadline{clock_monotonic() + 1'000'000}));  // only the pause matters
  }
}

}  // namespace

void power_down(PowerAction action) {
  end_other_processes();
  mounts_shut_down();
  serial_drain(Deadline{clock_monotonic() + kDrainPatience});
  cpu_stop_others();
  switch (action) {
    case PowerAction::kRestart: power_restart();
    case PowerAction::kHalt: log(LogLevel::kNotice, "System halted"); [[fallthrough]];
    case PowerAction::kOff: break;
  }
  power_off();
}

void power_off_after_init(uint32_t status) {
  if (status & 0x7f)
    log(LogLevel::kError, "init was killed by signal {}: powering off", status & 0x7f);
  else
    log(LogLevel::kNotice, "init ended with status {}: powering off", status >> 8);
  power_down(PowerAction::kOff);
}

}  // namespace faultline
