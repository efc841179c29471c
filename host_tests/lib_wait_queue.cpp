// Wait queues on real processors: what a schedule that is explored step by step cannot show, because there every store is seen at once.
#include "lib/wait_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace faultline {
namespace {

struct Entry : WaitEntry {
  Entry() : WaitEntry([](WaitEntry&, uint32_t) { return Verdict::kRemove; }) {}
};

// Two threads meet again and again, at the same moment as far as possible.
class Meeting {
 public:
  void meet() {
    const uint32_t round = round_.load();
    if (here_.fetch_add(1) == 1) {
      here_.store(0);
      round_.fetch_add(1);
      return;
    }
    // Where the two have not a processor each, the other is let go on.
    for (uint32_t spins = 0; round_.load() == round; spins++)
      if (spins > 2000) std::this_thread::yield();
  }

 private:
  std::atomic<uint32_t> here_{0}, round_{0};
};

// A processor keeps its stores to itself for a while, and loads meanwhile. Either the waker finds the waiter, or that finds what the waker stored, however
// weak the store was.
TEST(WaitQueue, WhoWaitsSeesTheStoreOrIsWoken) {
  constexpr int kRounds = 200'000;
  WaitQueue queue;
  std::atomic<bool> is_ready{false};
  Entry entry;
  Meeting meeting;
  bool is_found = false;
  int lost = 0;
  std::thread waker([&] {
    for (int i = 0; i < kRounds; i++) {
      meeting.meet();
      is_ready.store(true, std::memory_order_relaxed);
      is_found = queue.has_waiters();  // what wake() asks; the lock is left alone, for a test's lock is not waited for longer than a moment
      meeting.meet();
    }
  });
  for (int i = 0; i < kRounds; i++) {
    is_ready.store(false);
    meeting.meet();
    queue.add(entry);
    const bool is_seen = is_ready.load(std::memory_order_relaxed);
    meeting.meet();
    lost += !is_seen && !is_found;
    queue.remove(entry);
  }
  waker.join();
  EXPECT_EQ(lost, 0);
}

}  // namespace
}  // namespace faultline
