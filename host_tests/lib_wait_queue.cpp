// Wait queues on real processors: what a schedule that is explored step by step cannot show, because there every store is seen at once.
#include "lib/wait_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace faultline {
namespace {

struct Noted : WaitEntry {
  Noted() : WaitEntry(&notify) {}
  static Verdict notify(WaitEntry& self, uint32_t) {
    static_cast<Noted&>(self).is_woken = true;
    return Verdict::kRemove;
  }
  bool is_woken = false;
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
    while (round_.load() == round) continue;
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
  Noted entry;
  Meeting meeting;
  int lost = 0;
  std::thread waker([&] {
    for (int i = 0; i < kRounds; i++) {
      meeting.meet();
      is_ready.store(true, std::memory_order_relaxed);
      queue.wake();
      meeting.meet();
    }
  });
  for (int i = 0; i < kRounds; i++) {
    entry.is_woken = false;
    is_ready.store(false);
    meeting.meet();
    queue.add(entry);
    const bool is_seen = is_ready.load(std::memory_order_relaxed);
    meeting.meet();
    lost += !is_seen && !entry.is_woken;
    queue.remove(entry);
  }
  waker.join();
  EXPECT_EQ(lost, 0);
}

}  // namespace
}  // namespace faultline
