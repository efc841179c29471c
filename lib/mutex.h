// Locks that sleep. Held across I/O where the rank allows; never taken in an interrupt or under a spin lock.
#pragma once

#include "lib/lock.h"
#include "lib/wait_queue.h"

namespace faultline {

template <LockRank kRank>
class CAPABILITY("mutex") Mutex {
 public:
  static_assert(kRank < LockRank::kSleepingLast);

  void lock() ACQUIRE() NO_THREAD_SAFETY_ANALYSIS {
    lock_order_assert_may_sleep();
    if (!take()) {
      sleeping_lock_wanted(this, kRank, kMode);
      ignore_result(wait_until(
          waiters_, [this] { return take(); }, SleepKind::kUninterruptible, Deadline::never(),
          true));  // uninterruptible and endless: cannot fail
    }
    sleeping_lock_taken(this, kRank, kMode, Taken::kByWaiting);
  }
  bool try_lock() TRY_ACQUIRE(true) NO_THREAD_SAFETY_ANALYSIS {
    if (!take()) return false;
    sleeping_lock_taken(this, kRank, kMode, Taken::kByTrying);
    return true;
  }
  void unlock() RELEASE() NO_THREAD_SAFETY_ANALYSIS {
    sleeping_lock_released(this);
    held_.store(false, memory_order_release);
    waiters_.wake();  // seen by whoever comes too late to be found there
  }
  bool is_held() const { return held_.load(memory_order_relaxed); }

 private:
  static constexpr auto kMode = SleepingLocks::Mode::kExclusive;
  bool take() { return !held_.exchange(true, memory_order_seq_cst); }
  Atomic<bool> held_{false};
  WaitQueue waiters_;
};

// Many readers or one writer; a waiting writer keeps new readers out, so a reader must never take it twice. One word holds the readers,
// the writers that wait (there are fewer threads than either has room for) and the writer, so that nobody there is a zero.
template <LockRank kRank>
class CAPABILITY("read-write lock") RwLock {
 public:
  static_assert(kRank < LockRank::kSleepingLast);

  void lock() ACQUIRE() NO_THREAD_SAFETY_ANALYSIS {
    lock_order_assert_may_sleep();
    uint32_t nobody = 0;
    if (!state_.compare_exchange_strong(nobody, kWriter, memory_order_seq_cst)) [[unlikely]] {
      sleeping_lock_wanted(this, kRank, SleepingLocks::Mode::kExclusive);
      state_.fetch_add(kWaitingWriter, memory_order_seq_cst);
      ignore_result(wait_until(waiters_, [this] { return take_write(); }));
    }
    sleeping_lock_taken(this, kRank, SleepingLocks::Mode::kExclusive, Taken::kByWaiting);
  }
  void unlock() RELEASE() NO_THREAD_SAFETY_ANALYSIS {
    sleeping_lock_released(this);
    state_.fetch_and(~kWriter, memory_order_seq_cst);
    waiters_.wake_all();
  }
  void lock_shared() ACQUIRE_SHARED() NO_THREAD_SAFETY_ANALYSIS {
    lock_order_assert_may_sleep();
    uint32_t nobody = 0;
    if (!state_.compare_exchange_strong(nobody, 1, memory_order_seq_cst)) [[unlikely]]
      lock_shared_among_others();
    sleeping_lock_taken(this, kRank, SleepingLocks::Mode::kShared, Taken::kByWaiting);
  }
  bool try_lock_shared() TRY_ACQUIRE(true) NO_THREAD_SAFETY_ANALYSIS {
    if (!take_read()) return false;
    sleeping_lock_taken(this, kRank, SleepingLocks::Mode::kShared, Taken::kByTrying);
    return true;
  }
  void unlock_shared() RELEASE_SHARED() NO_THREAD_SAFETY_ANALYSIS {
    sleeping_lock_released(this);
    // Whoever waits is a writer, or waits behind one.
    uint32_t before = state_.fetch_sub(1, memory_order_seq_cst);
    if (before >= kWaitingWriter && before % kWaitingWriter == 1) [[unlikely]]
      waiters_.wake_all();
  }
  bool is_held_for_writing() const { return state_.load(memory_order_relaxed) & kWriter; }

 private:
  static constexpr uint32_t kWriter = 0x80000000u, kWaitingWriter = 0x10000u;
  [[gnu::noinline]] void lock_shared_among_others() {
    if (take_read()) return;
    sleeping_lock_wanted(this, kRank, SleepingLocks::Mode::kShared);
    ignore_result(wait_until(waiters_, [this] { return take_read(); }));
  }
  // For a writer that is counted as waiting.
  bool take_write() {
    uint32_t state = state_.load(memory_order_relaxed);
    while (!(state & kWriter) && state % kWaitingWriter == 0)
      if (state_.compare_exchange_weak(state, (state - kWaitingWriter) | kWriter, memory_order_seq_cst)) return true;
    return false;
  }
  bool take_read() {
    uint32_t state = 0;  // tried without looking
    do {
      if (state_.compare_exchange_weak(state, state + 1, memory_order_seq_cst)) return true;
    } while (state < kWaitingWriter);
    return false;
  }
  Atomic<uint32_t> state_{0};
  WaitQueue waiters_;
};

template <LockRank kRank>
class SCOPED_CAPABILITY SharedLockGuard {
 public:
  explicit SharedLockGuard(RwLock<kRank>& lock) ACQUIRE_SHARED(lock) : lock_(lock) { lock_.lock_shared(); }
  ~SharedLockGuard() RELEASE() { lock_.unlock_shared(); }
  SharedLockGuard(const SharedLockGuard&) = delete;
  SharedLockGuard& operator=(const SharedLockGuard&) = delete;

 private:
  RwLock<kRank>& lock_;
};

}  // namespace faultline
