// The one wait-queue mechanism under blocking calls, select, poll, epoll and completion queues: entries with a
// callback, woken with a mask of events.
#pragma once

#include <cstdint>
#include <utility>

#include <machine/planted_bugs.h>

#include "lib/list.h"
#include "lib/lock.h"
#include "lib/scheduling.h"

namespace faultline {

class WaitEntry : public ListNode<> {
 public:
  // Called under the queue's lock, perhaps in an interrupt: must not sleep, and must not touch this queue except by
  // returning kRemove. `events` is what became true (poll masks; 0xffffffff when the waker does not distinguish).
  // kPass is kKeep of an exclusive entry that has nobody to wake: the next one has its turn.
  enum class Verdict : uint8_t { kKeep, kRemove, kPass };
  using Notify = Verdict (*)(WaitEntry& self, uint32_t events);

  explicit WaitEntry(Notify notify, bool exclusive = false) : notify_(notify), exclusive_(exclusive) {}

  // Whether a queue has it. False as soon as it has been taken out; its callback may be running still.
  bool is_waiting() const { return is_waiting_.load(memory_order_acquire); }

 protected:
  // For a callback that will say kRemove, before it wakes anybody: who wakes may look at once, and sleep again, and must not find itself in the
  // queue that it is about to leave. (Who stays never seems to be out: it would be destroyed in the queue.)
  void will_be_removed() { is_waiting_.store(false, memory_order_release); }

 private:
  friend class WaitQueue;
  Notify notify_;
  bool exclusive_;                  // a wake with a limit stops after this many exclusive entries
  Atomic<bool> is_waiting_{false};  // written under the queue's lock
};

class WaitQueue {
 public:
  static constexpr uint32_t kAllEvents = 0xffffffffu;

  WaitQueue() = default;
  // Nobody may wait any more.
  ~WaitQueue() = default;

  // Any context. Non-exclusive entries stand before exclusive ones.
  void add(WaitEntry& entry);
  // No-op if the entry has been removed by its own verdict. Afterwards its callback is not running on any CPU: whoever took it out did so under the
  // lock, and mostly has let go of it.
  void remove(WaitEntry& entry) {
    if (entry.is_waiting() || lock_.is_locked()) remove_slow(entry);
  }
  // Calls the entries' callbacks; at most `exclusive_limit` exclusive ones. Any context. Cheap when nobody waits: what the waker stored before, by
  // whatever store, is seen by whoever looks after add(), or the waker sees that one.
  void wake(uint32_t events = kAllEvents, uint32_t exclusive_limit = 1) {
    if (has_waiters()) wake_slow(events, exclusive_limit);
  }
  void wake_all(uint32_t events = kAllEvents) { wake(events, ~0u); }
  bool has_waiters() const {
    machine::full_fence();  // a processor's stores pass its later loads: the caller's must not pass this one
    return waiters_.load(memory_order_relaxed) != 0;
  }

 private:
  void wake_slow(uint32_t events, uint32_t exclusive_limit);
  void remove_slow(WaitEntry& entry);
  // Whoever sees that it is out may destroy it once the lock is free.
  void take_out_locked(WaitEntry& entry) REQUIRES(lock_) {
    entries_.remove(entry);
    waiters_.fetch_sub(1, memory_order_relaxed);
    entry.is_waiting_.store(false, memory_order_release);
  }

  InterruptSpinLock<LockRank::kWaitQueue> lock_;
  List<WaitEntry> entries_ GUARDED_BY(lock_);
  Atomic<uint32_t> waiters_{0};
};

// An entry that wakes the thread which made it, once: to be woken again it must be added again.
class ThreadWaitEntry : public WaitEntry {
 public:
  explicit ThreadWaitEntry(bool exclusive = false) : WaitEntry(&notify, exclusive), thread_(*current_thread()) {}

 private:
  static Verdict notify(WaitEntry& self, uint32_t) {
    auto& entry = static_cast<ThreadWaitEntry&>(self);
    entry.will_be_removed();
    faultline::wake(entry.thread_);
    return Verdict::kRemove;
  }
  Thread& thread_;
};

// Sleeps until `condition()` is true. The condition is evaluated with no lock of the queue held, at least once before
// sleeping; it must become true before the matching wake(). Errors as block(): kINTR, kTIMEDOUT.
template <typename Condition>
Result<void> wait_until(WaitQueue& queue, Condition condition, SleepKind kind = SleepKind::kUninterruptible,
                        Deadline deadline = Deadline::never(), bool exclusive = false) {
  if (condition()) return {};
  ThreadWaitEntry entry(exclusive);
  queue.add(entry);
  Result<void> result;
  // A wake-up before add() found nobody, so what it was for must be looked at once more.
  bool looks = !machine::planted(machine::Bug::kSleepUnchecked);
  while (!std::exchange(looks, true) || !condition()) {
    result = block(kind, deadline);
    if (!result.ok() || condition()) break;
    if (!entry.is_waiting()) queue.add(entry);
  }
  queue.remove(entry);
  // Who gives up looks when no wake-up can reach it any more: the last one was perhaps for it alone.
  if (!result.ok() && !machine::planted(machine::Bug::kWakeUpKept) && condition()) result = {};
  return result;
}

}  // namespace faultline
