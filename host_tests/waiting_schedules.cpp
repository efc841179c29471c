// Waiting, under thousands of schedules: whoever sleeps on a wait queue, or polls, is woken by what happens. How to replay one: mm_schedules.cpp.
#include <gtest/gtest.h>
#include <machine/planted_bugs.h>

#include "host_tests/support/emulated_machine.h"
#include "host_tests/support/explorer.h"
#include "in_child.h"
#include "kernel/files/poll_wait.h"

namespace faultline::host {
namespace {

constexpr bool kIsSlow = sizeof(void*) == 4;  // see mm_schedules.cpp
constexpr uint32_t kSchedules = kIsSlow ? 30 : 300;
constexpr uint32_t kUntilFound = 20'000;  // a planted bug is found in the first thousand or so: the search ends there

// A file that becomes readable once.
class OneShotFile final : public File {
 public:
  OneShotFile() : File(Ref<Inode>(), kOpenReadOnly) {}
  ~OneShotFile() override = default;
  uint32_t poll(PollTable* table) override {
    if (table) table->register_queue(queue_);
    return is_ready_.load(memory_order_seq_cst) ? kPollIn : 0;
  }
  void become_ready() {
    is_ready_.store(true, memory_order_seq_cst);
    queue_.wake(kPollIn);
  }

 private:
  void last_reference_gone() override { slab_delete(this); }
  Atomic<bool> is_ready_{false};
  WaitQueue queue_;
};

// Two files are polled; the second becomes ready.
void poll_while_it_becomes_ready(uint32_t seed) {
  machine_start({.frames = 420, .cpus = 2});
  auto quiet = Ref<OneShotFile>::adopt(slab_new<OneShotFile>().release_value());
  auto file = Ref<OneShotFile>::adopt(slab_new<OneShotFile>().release_value());
  Explorer explorer(schedule_of(seed));
  explorer.add_thread("polls", [&] {
    auto look = [&](PollWaiter* waiter) -> Result<uint32_t> {
      uint32_t found = 0;
      for (File* each : {static_cast<File*>(quiet.get()), static_cast<File*>(file.get())}) {
        if (waiter) waiter->set_file(*each);
        found += each->poll(waiter) != 0;
      }
      return found;
    };
    if (poll_until(Deadline::never(), true, look).value_or(0) != 1) PANIC("poll did not find what it waited for");
  });
  explorer.add_thread("becomes ready", [&] { file->become_ready(); });
  explorer.run();
}

// Of two who wait for the same, each to be woken alone, one gives up after a while: what there is then must reach the other.
void give_up_while_there_is_something(uint32_t seed) {
  machine_start({.frames = 420, .cpus = 3});
  WaitQueue queue;
  Atomic<uint32_t> units{0};
  auto take = [&] {
    uint32_t before = units.load(memory_order_seq_cst);
    return before != 0 && units.compare_exchange_strong(before, before - 1, memory_order_seq_cst);
  };
  auto give = [&] {
    units.fetch_add(1, memory_order_seq_cst);
    queue.wake();
  };
  Explorer explorer(schedule_of(seed));
  explorer.add_thread("gives up", [&] {
    if (wait_until(queue, take, SleepKind::kInterruptible, Deadline{1}, true).ok()) give();
  });
  explorer.add_thread("waits", [&] { ignore_result(wait_until(queue, take, SleepKind::kInterruptible, Deadline::never(), true)); });
  explorer.add_thread("gives", [&] {
    for (uint32_t points = seed * 7 % 110; points != 0; points--)
      (void)units.load(memory_order_relaxed);  // about as long as the other waits
    give();
  });
  explorer.run();
}

using Story = void (*)(uint32_t seed);

bool ends_well_always(Output output, Story story, machine::Bug bug, uint32_t schedules) {
  return ends_well(output, [=] {
    machine::planted_bug = bug;
    for (uint32_t seed = 1; seed <= schedules; seed++) story(seed);
  });
}

TEST(Waiting, PollSeesWhatBecameReadyBeforeItWasInTheQueues) {
  EXPECT_TRUE(ends_well_always(Output::kShown, poll_while_it_becomes_ready, machine::Bug::kCount, kSchedules));
  EXPECT_FALSE(ends_well_always(Output::kDiscarded, poll_while_it_becomes_ready, machine::Bug::kPollUnchecked, kUntilFound));
}

TEST(Waiting, WhoGivesUpLeavesNoWakeUpBehind) {
  EXPECT_TRUE(ends_well_always(Output::kShown, give_up_while_there_is_something, machine::Bug::kCount, kSchedules));
  EXPECT_FALSE(ends_well_always(Output::kDiscarded, give_up_while_there_is_something, machine::Bug::kWakeUpKept, kUntilFound));
}

TEST(Waiting, WhoSleepsLooksOnceMoreWhenItIsInTheQueue) {
  EXPECT_FALSE(ends_well_always(Output::kDiscarded, give_up_while_there_is_something, machine::Bug::kSleepUnchecked, kUntilFound));
}

}  // namespace
}  // namespace faultline::host
