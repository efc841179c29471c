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
    if (!take()) ignore_result(wait_until(waiters_, [this] { return take(); }, SleepKind::kUninterruptible,
                                          Deadline::never(), true));  // uninterruptible and endless: cannot fail
  }
  bool try_lock() TRY_ACQUIRE(true) NO_THREAD_SAFETY_ANALYSIS { return take(); }
  void unlock() RELEASE() NO_THREAD_SAFETY_ANALYSIS {
    held_.store(false, memory_order_seq_cst);
    waiters_.wake();
  }
  bool is_held() const { return held_.load(memory_order_relaxed); }

 private:
  bool take() { return !held_.exchange(true, memory_order_seq_cst); }
  Atomic<bool> held_{false};
  WaitQueue waiters_;
};

// Many readers or one writer; a waiting writer keeps new readers out, so a reader must never take it twice.
template <LockRank kRank>
class CAPABILITY("read-write lock") RwLock {
 public:
  static_assert(kRank < LockRank::kSleepingLast);

  void lock() ACQUIRE() NO_THREAD_SAFETY_ANALYSIS {
    lock_order_assert_may_sleep();
    if (take_write()) return;
    writers_waiting_.fetch_add(1, memory_order_seq_cst);
    ignore_result(wait_until(waiters_, [this] { return take_write(); }));
    writers_waiting_.fetch_sub(1, memory_order_seq_cst);
  }
  void unlock() RELEASE() NO_THREAD_SAFETY_ANALYSIS {
    state_.store(0, memory_order_seq_cst);
    waiters_.wake_all();
  }
  void lock_shared() ACQUIRE_SHARED() NO_THREAD_SAFETY_ANALYSIS {
    lock_order_assert_may_sleep();
    if (!take_read()) ignore_result(wait_until(waiters_, [this] { return take_read(); }));
  }
  bool try_lock_shared() TRY_ACQUIRE(true) NO_THREAD_SAFETY_ANALYSIS { return take_read(); }
  void unlock_shared() RELEASE_SHARED() NO_THREAD_SAFETY_ANALYSIS {
    if (state_.fetch_sub(1, memory_order_seq_cst) == 1) waiters_.wake_all();
  }
  bool is_held_for_writing() const { return state_.load(memory_order_relaxed) == kWriter; }

 private:
  static constexpr uint32_t kWriter = 0x80000000u;
  bool take_write() {
    uint32_t expected = 0;
    return state_.compare_exchange_strong(expected, kWriter, memory_order_seq_cst);
  }
  bool take_read() {
    if (writers_waiting_.load(memory_order_seq_cst) != 0) return false;
    uint32_t state = state_.load(memory_order_relaxed);
    while (state != kWriter)
      if (state_.compare_exchange_weak(state, state + 1, memory_order_seq_cst)) return true;
    return false;
  }
  Atomic<uint32_t> state_{0};
  Atomic<uint32_t> writers_waiting_{0};
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
