// The reclaimer's thread: see reclaim.h. It works ahead of need, so that whoever touches a page seldom has to free one first.
#include "arch/clock.h"
#include "lib/late.h"
#include "lib/wait_queue.h"
#include "mm/reclaim.h"

namespace faultline {

namespace {
constinit Late<WaitQueue> sleepers;
constinit Atomic<bool> is_running{false};
}  // namespace

void reclaim_call() {
  if (is_running.load(memory_order_relaxed)) sleepers->wake();
}

void reclaim_for_ever(void*) {
  constexpr uint64_t kPause = 100'000'000;  // nanoseconds, when there is nothing to be had
  sleepers.construct();
  is_running.store(true, memory_order_release);
  for (;;) {
    ignore_result(wait_until(*sleepers, [] { return frames_short_of_low() != 0; }));  // endless: cannot fail
    while (uint32_t wanted = frames_short_of_high()) {
      if (reclaim_ahead(wanted) || reclaim_with_write_back()) {
        frames_gather();
        continue;
      }
      ignore_result(block(SleepKind::kUninterruptible, Deadline{clock_monotonic() + kPause}));
    }
  }
}

}  // namespace faultline
