// timerfd_create(2): a timer to wait for like for any file.
#include "fs/anonymous.h"
#include "kernel/clock_timer.h"
#include "kernel/files/calls.h"
#include "kernel/files/support.h"
#include "kernel/time.h"
#include "mm/slab.h"

namespace faultline {

enum class CancelOnSet : bool { kNo, kYes };

class TimerFile final : public File, private ClockTimer {
 public:
  TimerFile(Ref<Inode> inode, uint32_t flags, uint32_t clock) : File(std::move(inode), flags), clock_(clock) {}
  ~TimerFile() override { stop(); }

  TimerFile* timer() override { return this; }
  uint32_t clock() const { return clock_; }

  // What was set before.
  TimerSetting set(const TimerSetting& setting, TimerBase base, CancelOnSet cancel) {
    LockGuard turn(setting_);
    TimerSetting before = remaining();
    stop();
    {
      InterruptLockGuard guard(lock_);
      times_ = 0;
      is_cancelled_ = false;
      cancel_ = base == TimerBase::kWall ? cancel : CancelOnSet::kNo;
    }
    start(setting, base);
    return before;
  }
  TimerSetting value() const { return remaining(); }

  Result<size_t> read(IoBuffer& buffer) override {
    if (buffer.remaining() < sizeof(uint64_t)) return Errno::kINVAL;
    uint64_t taken = 0;
    bool is_cancelled = false;
    auto take = [&] {
      InterruptLockGuard guard(lock_);
      is_cancelled = std::exchange(is_cancelled_, false);
      taken = std::exchange(times_, 0);
      return taken != 0 || is_cancelled;
    };
    if (!take()) {
      if (may_not_wait(buffer)) return Errno::kAGAIN;
      TRY(wait_restartable(expired_, take));
    }
    if (is_cancelled) return Errno::kCANCELED;
    TRY(buffer.put_all(&taken, sizeof taken));
    return sizeof taken;
  }

  uint32_t poll(PollTable* table) override {
    if (table) table->register_queue(expired_);
    InterruptLockGuard guard(lock_);
    return times_ != 0 || is_cancelled_ ? kPollIn : 0;
  }
  Result<size_t> read_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write(IoBuffer&) override { return Errno::kINVAL; }
  Result<void> synchronize(bool) override { return Errno::kINVAL; }
  void describe(FormatSink& sink) const override { sink.put("anon_inode:[timerfd]"); }

 private:
  void last_reference_gone() override { slab_delete(this); }
  void expired(uint64_t times) override {
    {
      InterruptLockGuard guard(lock_);
      times_ += times;
    }
    expired_.wake_all(kPollIn);
  }
  void wall_clock_changed() override {
    {
      InterruptLockGuard guard(lock_);
      if (cancel_ == CancelOnSet::kNo) return;
      is_cancelled_ = true;
    }
    expired_.wake_all(kPollIn);
  }

  const uint32_t clock_;
  Mutex<LockRank::kTimers> setting_;  // those who set it take turns
  InterruptSpinLock<LockRank::kDevice> lock_;
  uint64_t times_ GUARDED_BY(lock_) = 0;  // that it went off since it was read or set
  bool is_cancelled_ GUARDED_BY(lock_) = false;
  CancelOnSet cancel_ GUARDED_BY(lock_) = CancelOnSet::kNo;
  WaitQueue expired_;
};

namespace {

constexpr uint32_t kRealtime = 0, kMonotonic = 1, kBoottime = 7, kRealtimeAlarm = 8, kBoottimeAlarm = 9;

template <typename Time>
Result<uint32_t> set_timer(int32_t descriptor, uint32_t flags, UserPtr<TimerTimes<Time>> wanted, UserPtr<TimerTimes<Time>> old) {
  constexpr uint32_t kAbsolute = 1, kCancelOnSet = 2;
  TimerTimes<Time> times = TRY(user_read(wanted));
  if (flags & ~(kAbsolute | kCancelOnSet)) return Errno::kINVAL;
  TimerSetting setting = TRY(timer_setting_of(times));
  FileHandle file = TRY(descriptor_file(descriptor));
  TimerFile* timer = file->timer();
  if (!timer) return Errno::kINVAL;
  bool is_wall = timer->clock() == kRealtime || timer->clock() == kRealtimeAlarm;
  TimerBase base = !(flags & kAbsolute) ? TimerBase::kFromNow : is_wall ? TimerBase::kWall : TimerBase::kMonotonic;
  TimerSetting before = timer->set(setting, base, flags & kCancelOnSet ? CancelOnSet::kYes : CancelOnSet::kNo);
  if (!old.is_null()) TRY(user_write(old, timer_times_of<Time>(before)));
  return 0u;
}

template <typename Time>
Result<uint32_t> get_timer(int32_t descriptor, UserPtr<TimerTimes<Time>> where) {
  FileHandle file = TRY(descriptor_file(descriptor));
  TimerFile* timer = file->timer();
  if (!timer) return Errno::kINVAL;
  TRY(user_write(where, timer_times_of<Time>(timer->value())));
  return 0u;
}

}  // namespace

Result<uint32_t> sys_timerfd_create(uint32_t clock, uint32_t flags) {
  // Nothing sleeps so deeply here that an alarm would have to wake it: those clocks are the plain ones.
  bool is_alarm = clock == kRealtimeAlarm || clock == kBoottimeAlarm;
  if ((flags & ~(kOpenCloseOnExec | kOpenNonBlocking)) || (clock != kRealtime && clock != kMonotonic && clock != kBoottime && !is_alarm))
    return Errno::kINVAL;
  const Credentials& who = current_process().credentials();
  if (is_alarm && !who.is_superuser()) return Errno::kPERM;
  Ref<Inode> inode = TRY(anonymous_inode_create(FileType::kSocket, 0600, who));  // a type that cannot be opened through /proc
  Ref<File> file = Ref<File>::adopt(TRY(slab_new<TimerFile>(std::move(inode), kOpenReadWrite | (flags & kOpenNonBlocking), clock)));
  return current_process().descriptors().add(std::move(file), close_on_exec_of(flags), descriptor_limit());
}

Result<uint32_t> sys_timerfd_settime(int32_t descriptor, uint32_t flags, UserPtr<TimerTimes<Timespec32>> wanted,
                                     UserPtr<TimerTimes<Timespec32>> old) {
  return set_timer(descriptor, flags, wanted, old);
}
Result<uint32_t> sys_timerfd_settime64(int32_t descriptor, uint32_t flags, UserPtr<TimerTimes<Timespec64>> wanted,
                                       UserPtr<TimerTimes<Timespec64>> old) {
  return set_timer(descriptor, flags, wanted, old);
}
Result<uint32_t> sys_timerfd_gettime(int32_t descriptor, UserPtr<TimerTimes<Timespec32>> where) { return get_timer(descriptor, where); }
Result<uint32_t> sys_timerfd_gettime64(int32_t descriptor, UserPtr<TimerTimes<Timespec64>> where) { return get_timer(descriptor, where); }

}  // namespace faultline
