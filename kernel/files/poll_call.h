// What the calls of the poll and select families share beside the waiting itself: their time limits, and the signal mask of the p-forms.
#pragma once

#include "kernel/files/poll_wait.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "lib/abi/fcntl_structures.h"

namespace faultline {

struct PollLimit {
  Deadline deadline;
  bool may_wait = true;
};

PollLimit poll_limit_of(uint64_t nanoseconds);
Result<PollLimit> poll_limit_of(int64_t seconds, int64_t nanoseconds);  // kINVAL
// A null time waits for ever. kFAULT, kINVAL.
Result<PollLimit> poll_limit_read(UserPtr<abi::Time32> user);
Result<PollLimit> poll_limit_read(UserPtr<abi::Time64> user);
// What was left of the time is told by select and the p-forms; failures there are ignored, as on Linux. A fraction is told in such units.
void poll_limit_write_rest(UserPtr<abi::Time32> user, const PollLimit& limit, uint32_t nanoseconds_of_unit);
void poll_limit_write_rest(UserPtr<abi::Time64> user, const PollLimit& limit, uint32_t nanoseconds_of_unit);

// As poll_until(), for the running thread: who finds nothing and has a signal to act on was interrupted, even if it would not have waited.
template <typename Look>
Result<uint32_t> poll_call(const PollLimit& limit, Look look) {
  Result<uint32_t> found = poll_until(limit.deadline, limit.may_wait, look);
  auto has_signal = [] { return (running_thread().work.load(memory_order_relaxed) & kWorkSignal) && signal_is_pending(); };
  bool is_interrupted = found.ok() ? found.value() == 0 && has_signal() : found.error() == Errno::kINTR;
  return is_interrupted ? Errno::kRESTARTNOHAND : found;
}

// The mask that ppoll, pselect6 and epoll_pwait put in force while they wait. Whoever is interrupted hands it on to the handler; after any other
// end the old mask is back before signals are looked for, so what only the wait would have let through goes on waiting.
class CallMask {
 public:
  Result<void> apply(UserPtr<SignalSet> mask, uint32_t bytes) {  // null: none. kINVAL, kFAULT
    if (mask.is_null()) return {};
    if (bytes != sizeof(SignalSet)) return Errno::kINVAL;
    signal_set_temporary_mask(TRY(user_read(mask)));
    is_applied_ = true;
    return {};
  }
  // The call's result, which it passes on.
  Result<uint32_t> after(Result<uint32_t> result) {
    bool was_interrupted = result.error() == Errno::kRESTARTNOHAND || result.error() == Errno::kINTR;
    if (is_applied_ && !was_interrupted) signal_end_temporary_mask();
    return result;
  }

 private:
  bool is_applied_ = false;
};

}  // namespace faultline
