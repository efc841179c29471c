// NOP, TIMEOUT, ASYNC_CANCEL: what concerns the ring itself.
#include "kernel/clock_timer.h"
#include "kernel/io_uring/operations.h"

namespace faultline {

namespace {

class Nop final : public RequestOf<Nop> {
  Result<uint32_t> attempt(Patience) override { return 0u; }
};

// Ends when its time has come, with kTIME, or after so many completions that are none of time-outs.
class Timeout final : public RequestOf<Timeout>, ClockTimer {
  Result<void> prepare(const abi::RingSubmission& submission) override {
    const uint32_t flags = submission.operation_flags;
    constexpr uint32_t kClocks = abi::kRingTimeoutBootClock | abi::kRingTimeoutWallClock;
    if (submission.buffer_index != 0 || submission.file_index != 0 || submission.length != 1) return Errno::kINVAL;
    if ((flags & ~(kClocks | abi::kRingTimeoutAbsolute | abi::kRingTimeoutIsSuccess)) || (flags & kClocks) == kClocks) return Errno::kINVAL;
    const Timespec64 time = TRY(user_read(UserPtr<Timespec64>(static_cast<uint32_t>(submission.address))));
    const uint64_t nanoseconds = TRY(nanoseconds_of(time));
    setting_.value = nanoseconds != 0 ? nanoseconds : 1;
    if (flags & abi::kRingTimeoutAbsolute) base_ = flags & abi::kRingTimeoutWallClock ? TimerBase::kWall : TimerBase::kMonotonic;
    is_success_ = flags & abi::kRingTimeoutIsSuccess;
    count_ = static_cast<uint32_t>(submission.offset);
    first_ = ring().posted();
    set_interest(kPollIn);
    return {};
  }
  Result<uint32_t> attempt(Patience) override {
    if (has_expired_.load(memory_order_seq_cst)) return Errno::kTIME;
    if (count_ != 0 && ring().posted() - first_ >= count_) return 0u;
    return Errno::kAGAIN;
  }
  Armed arm() override {
    if (count_ != 0) listen_to(ring().completion_queue());
    start(setting_, base_);
    return Armed::kReady;  // completions since the attempt
  }
  void disarm() override {
    stop();
    Request::disarm();
  }
  void expired(uint64_t) override {
    has_expired_.store(true, memory_order_seq_cst);
    news();
  }
  bool is_timeout() const override { return true; }
  bool succeeds_by(Errno error) const override { return is_success_ && error == Errno::kTIME; }

  TimerSetting setting_;
  TimerBase base_ = TimerBase::kFromNow;
  bool is_success_ = false;
  uint32_t count_ = 0, first_ = 0;
  Atomic<bool> has_expired_{false};
};

class Cancel final : public RequestOf<Cancel> {
  Result<void> prepare(const abi::RingSubmission& submission) override {
    if (submission.offset != 0 || submission.length != 0 || submission.operation_flags != 0 || submission.file_index != 0)
      return Errno::kINVAL;
    wanted_ = submission.address;
    return {};
  }
  Result<uint32_t> attempt(Patience) override {
    TRY(ring().cancel(wanted_, *this));
    return 0u;
  }
  uint64_t wanted_ = 0;
};

}  // namespace

Result<Request*> make_nop() { return Nop::make(); }
Result<Request*> make_timeout() { return Timeout::make(); }
Result<Request*> make_cancel() { return Cancel::make(); }

}  // namespace faultline
