// timer_create(2): timers that send signals, each of which tells how often its timer has gone off since the last.
#pragma once

#include "kernel/clock_timer.h"
#include "kernel/process.h"
#include "kernel/time.h"

namespace faultline {

enum class TimerNotice : uint8_t { kSignal, kNothing, kThread };

class PosixTimer final : public ClockTimer, public ListNode<PosixTimersTag>, public ListNode<ProcessorTimersTag> {
 public:
  PosixTimer(Process& process, uint32_t id, uint32_t clock, TimerNotice notice, uint32_t thread, const SignalInfo& info);
  ~PosixTimer();

  uint32_t id() const { return id_; }
  // The process' timers_lock_ is held.
  void set(const TimerSetting& setting, bool is_absolute);
  TimerSetting value() const;
  uint32_t overrun() const;
  // In the tick of `running`, a thread of the process, which has used `process_time`: whether enough has been used.
  void look_at_processor_time_locked(Thread& running, uint64_t process_time) REQUIRES(process_table_lock);

 private:
  void expired(uint64_t times) override;
  void go_off_if_due_locked(uint64_t used) REQUIRES(process_table_lock);
  void notify_locked(uint64_t times) REQUIRES(process_table_lock);
  bool counts_processor_time() const;
  uint64_t processor_time_locked() const REQUIRES(process_table_lock);

  Process& process_;
  const uint32_t id_, clock_;
  const TimerNotice notice_;
  const uint32_t thread_;    // who is told, with kThread
  const uint32_t measured_;  // whose time is counted, of a thread's clock
  RepeatedSignal signal_;
  TimerSetting processor_setting_;  // of processor clocks: `value` is the time used when it goes off. Guarded by process_table_lock
};

}  // namespace faultline
