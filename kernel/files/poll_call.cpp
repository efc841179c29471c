// The time limits of poll, select and their newer forms.
#include "kernel/files/poll_call.h"

#include "arch/clock.h"

namespace faultline {

PollLimit poll_limit_of(uint64_t nanoseconds) {
  if (nanoseconds == 0) return {{}, false};
  uint64_t now = clock_monotonic();
  return {{nanoseconds < Deadline::kNever - now ? now + nanoseconds : Deadline::kNever}, true};
}

Result<PollLimit> poll_limit_of(int64_t seconds, int64_t nanoseconds) {
  if (seconds < 0 || nanoseconds < 0 || nanoseconds > 999'999'999) return Errno::kINVAL;
  if (seconds > 1'000'000'000) return PollLimit{};
  return poll_limit_of(static_cast<uint64_t>(seconds) * 1'000'000'000 + static_cast<uint64_t>(nanoseconds));
}

Result<PollLimit> poll_limit_read(UserPtr<abi::Time32> user) {
  if (user.is_null()) return PollLimit{};
  auto time = TRY(user_read(user));
  return poll_limit_of(time.seconds, time.fraction);
}
Result<PollLimit> poll_limit_read(UserPtr<abi::Time64> user) {
  if (user.is_null()) return PollLimit{};
  auto time = TRY(user_read(user));
  return poll_limit_of(time.seconds, time.nanoseconds);
}

namespace {

template <typename Time>
void write_rest(UserPtr<Time> user, const PollLimit& limit, uint32_t unit) {
  if (user.is_null() || limit.deadline.is_never()) return;
  uint64_t now = clock_monotonic(), left = limit.may_wait && limit.deadline.nanoseconds > now ? limit.deadline.nanoseconds - now : 0;
  using Seconds = decltype(Time::seconds);
  Time rest{static_cast<Seconds>(left / 1'000'000'000), static_cast<Seconds>(left % 1'000'000'000 / unit)};
  ignore_result(user_write(user, rest));
}

}  // namespace

void poll_limit_write_rest(UserPtr<abi::Time32> user, const PollLimit& limit, uint32_t unit) { write_rest(user, limit, unit); }
void poll_limit_write_rest(UserPtr<abi::Time64> user, const PollLimit& limit, uint32_t unit) { write_rest(user, limit, unit); }

}  // namespace faultline
