// The witness of locks (lib/lock_order.cpp, lib/lock_classes.cpp): what it must report, and what it must not.
#include <gtest/gtest.h>

#include "host_tests/support/emulated_machine.h"
#include "lib/lock_classes.h"
#include "lib/mutex.h"

namespace faultline::host {
namespace {

class LockClasses : public ::testing::Test {
 protected:
  void SetUp() override { lock_classes_forget(); }
  void TearDown() override { lock_classes_forget(); }
};

template <typename First, typename Second>
void take_both(First& first, Second& second) {
  LockGuard outer(first);
  LockGuard inner(second);
}

Mutex<LockRank::kObject> object_lock, other_object_lock;
Mutex<LockRank::kDriver> driver_lock;
Mutex<LockRank::kJournal> journal_lock;
SpinLock<LockRank::kDentry> dentry_lock;
SpinLock<LockRank::kSignal> signal_lock;
InterruptSpinLock<LockRank::kTimer> timer_lock;

TEST_F(LockClasses, TakenInOneOrderAreFine) {
  for (int i = 0; i < 3; i++) {
    take_both(object_lock, driver_lock);
    take_both(driver_lock, journal_lock);
    take_both(object_lock, journal_lock);
    take_both(object_lock, other_object_lock);  // of one class nothing can be said
  }
}

TEST_F(LockClasses, SleepingLocksInTwoOrdersAreReported) {
  take_both(object_lock, driver_lock);
  EXPECT_DEATH(take_both(driver_lock, object_lock), "two orders.*waits for object; while it holds driver.*with this held: object");
}

TEST_F(LockClasses, ACircleOfThreeIsReported) {
  take_both(object_lock, driver_lock);
  take_both(driver_lock, journal_lock);
  EXPECT_DEATH(take_both(journal_lock, object_lock), "two orders.*waits for object; while it holds journal.*with this held: driver");
}

// An entry that wakes the queue of an instance which watches this one (epoll).
struct WakesAnother : WaitEntry {
  explicit WakesAnother(WaitQueue& queue, bool exclusive = false) : WaitEntry(&notify, exclusive), other(queue) {}
  static Verdict notify(WaitEntry& self, uint32_t events) {
    auto& entry = static_cast<WakesAnother&>(self);
    entry.called++;
    entry.other.wake(events);
    return entry.answer;
  }
  WaitQueue& other;
  Verdict answer = Verdict::kKeep;
  int called = 0;
};

TEST_F(LockClasses, AQueueIsWokenFromACallbackOfAnother) {
  WaitQueue files, inner, outer;
  WakesAnother from_file(inner), from_inner(outer), from_outer(files);
  files.add(from_file);
  inner.add(from_inner);
  files.wake();
  EXPECT_EQ(from_inner.called, 1);
  outer.add(from_outer);
  EXPECT_DEATH(files.wake(), "a lock that nobody will release");  // a circle, which epoll refuses
  outer.remove(from_outer);
  inner.remove(from_inner);
  files.remove(from_file);
}

TEST_F(LockClasses, AnExclusiveEntryThatWakesNobodyPassesItsTurn) {
  WaitQueue queue, nobody;
  WakesAnother first(nobody, true), second(nobody, true), third(nobody, true);
  for (WakesAnother* entry : {&first, &second, &third}) queue.add(*entry);
  first.answer = WaitEntry::Verdict::kPass;
  queue.wake();
  EXPECT_TRUE(first.called == 1 && second.called == 1 && third.called == 0);
  second.answer = WaitEntry::Verdict::kRemove;
  queue.wake();
  queue.wake();
  EXPECT_TRUE(first.called == 3 && second.called == 2 && third.called == 1);
  queue.remove(first);
  queue.remove(third);
}

TEST_F(LockClasses, ATryWaitsForNobody) {
  take_both(object_lock, driver_lock);
  LockGuard outer(driver_lock);
  ASSERT_TRUE(object_lock.try_lock());
  object_lock.unlock();
}

TEST_F(LockClasses, SpinLocksAgainstTheirRanksNameWhatIsHeld) {
  EXPECT_DEATH(take_both(dentry_lock, signal_lock), "below or beside.*about signal; while this is held: dentry");
}

TEST_F(LockClasses, ASleepUnderASpinLockNamesIt) {
  LockGuard guard(dentry_lock);
  EXPECT_DEATH(object_lock.lock(), "sleeping with a spin lock held; holding dentry");
}

TEST_F(LockClasses, ALockOfInterruptsTakenWithInterruptsOnIsReported) {
  take_both(object_lock, signal_lock);
  uint32_t before = lock_order_interrupt_begins();
  EXPECT_DEATH(signal_lock.lock(), "in an interrupt, and also with interrupts on; of class signal; taken with interrupts on");
  timer_lock.unlock(timer_lock.lock());  // which is what these are for
  lock_order_interrupt_ends(before);
}

TEST_F(LockClasses, ARankMayHaveLocksOfBothKinds) {
  SpinLock<LockRank::kDevice> of_threads;
  InterruptSpinLock<LockRank::kDevice> of_interrupts;
  { LockGuard guard(of_threads); }
  uint32_t before = lock_order_interrupt_begins();
  of_interrupts.unlock(of_interrupts.lock());
  lock_order_interrupt_ends(before);
}

TEST_F(LockClasses, ALongHoldIsNoted) {
  lock_hold_limit = 1000;
  signal_lock.lock();
  machine::emulated_cycles += 1500;
  signal_lock.unlock();
  dentry_lock.lock();
  machine::emulated_cycles += 500;
  dentry_lock.unlock();
  lock_hold_limit = ~0ull;
  LongHold hold;
  ASSERT_TRUE(lock_long_hold_take(hold));
  EXPECT_EQ(hold.rank, LockRank::kSignal);
  EXPECT_EQ(hold.cycles, 1500u);
  EXPECT_FALSE(lock_long_hold_take(hold));
}

}  // namespace
}  // namespace faultline::host
