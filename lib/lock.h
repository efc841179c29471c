// Spin locks whose rank is part of their type. Two kinds: SpinLock for data that only threads touch, and
// InterruptSpinLock, which also keeps this CPU's interrupts off, for data that interrupt handlers touch too.
// Neither may be held while sleeping, while touching user memory, or for long.
#pragma once

#include <cstdint>

#include <machine/cpu_inline.h>

#include "lib/annotations.h"
#include "lib/atomic.h"
#include "lib/lock_rank.h"
#include "lib/panic.h"
#include "lib/sleeping_locks.h"

namespace faultline {

#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG
// The debug build's witness: what this CPU holds, in which order (lib/lock_order.cpp). Panics on a rank inversion, a lock
// taken twice, a sleep with a spin lock held, and a SpinLock taken in an interrupt or under an InterruptSpinLock.
enum class SpinKind : uint8_t { kPlain, kInterrupt };
void lock_order_acquired(const void* lock, LockRank rank, SpinKind kind, bool was_try);
void lock_order_released(const void* lock);
void lock_order_assert_may_sleep();
// Around the service of an interrupt: what it takes is no matter of order with what the interrupted code holds. `begins`
// returns what `ends` wants.
uint32_t lock_order_interrupt_begins();
void lock_order_interrupt_ends(uint32_t before);
// Of sleeping locks: the running thread is about to sleep for one, has taken it, lets it go.
void sleeping_lock_wanted(const void* lock, LockRank rank, SleepingLocks::Mode mode);
enum class Taken : uint8_t { kByWaiting, kByTrying };  // who only tries waits for nobody, and so closes no circle
void sleeping_lock_taken(const void* lock, LockRank rank, SleepingLocks::Mode mode, Taken how);
void sleeping_lock_released(const void* lock);
#else
enum class SpinKind : uint8_t { kPlain, kInterrupt };
inline void lock_order_acquired(const void*, LockRank, SpinKind, bool) {}
inline uint32_t lock_order_interrupt_begins() { return 0; }
inline void lock_order_interrupt_ends(uint32_t) {}
inline void lock_order_released(const void*) {}
inline void lock_order_assert_may_sleep() {}
inline void sleeping_lock_wanted(const void*, LockRank, SleepingLocks::Mode) {}
enum class Taken : uint8_t { kByWaiting, kByTrying };
inline void sleeping_lock_taken(const void*, LockRank, SleepingLocks::Mode, Taken) {}
inline void sleeping_lock_released(const void*) {}
#endif
// For those who keep a SpinLock's ticket in a place of their own.
inline void lock_order_acquired(const void* lock, LockRank rank, bool was_try) {
  lock_order_acquired(lock, rank, SpinKind::kPlain, was_try);
}

// A word for who holds it, and tickets for those who wait, of whom only the first looks at the word. Whoever comes when it is free just takes it, which
// costs the least where nobody waits. In a virtual machine nobody takes a ticket: the host may stop a processor for milliseconds at any
// instruction, and the others would all stand behind it while the lock is free.
class CAPABILITY("ticket lock") TicketLock {
 public:
  constexpr TicketLock() = default;
  TicketLock(const TicketLock&) = delete;
  TicketLock& operator=(const TicketLock&) = delete;

  void lock_raw() {
    if (is_held_.exchange(true, memory_order_acquire)) [[unlikely]]
      wait();
  }
  bool try_lock_raw() { return !is_held_.load(memory_order_relaxed) && !is_held_.exchange(true, memory_order_acquire); }
  void unlock_raw() { is_held_.store(false, memory_order_release); }
  // Whoever held it before it was seen to be free has done all that it did under it.
  bool is_locked() const { return is_held_.load(memory_order_acquire); }

 private:
  // Out of line, so that it takes no registers from those who need not wait.
  [[gnu::noinline, gnu::cold]] void wait() {
    if (machine::processors_may_stop) return take();
    const uint8_t ticket = next_.fetch_add(1, memory_order_relaxed);  // there are fewer processors than numbers
    while (serving_.load(memory_order_acquire) != ticket) machine::relax();
    take();
    serving_.store(static_cast<uint8_t>(ticket + 1), memory_order_release);
  }
  void take() {
    while (!try_lock_raw()) machine::relax();
  }

  Atomic<bool> is_held_{false};
  Atomic<uint8_t> next_{0}, serving_{0};
};

// Pre-emption is off while a spin lock is held (machine::preemption_disable), so the holder always runs.
template <LockRank kRank>
class CAPABILITY("spin lock") SpinLock {
 public:
  static_assert(kRank > LockRank::kSleepingLast);
  constexpr SpinLock() = default;

  void lock() ACQUIRE() NO_THREAD_SAFETY_ANALYSIS {
    machine::preemption_disable();
    ticket_.lock_raw();
    lock_order_acquired(this, kRank, SpinKind::kPlain, false);
  }
  bool try_lock() TRY_ACQUIRE(true) NO_THREAD_SAFETY_ANALYSIS {
    machine::preemption_disable();
    if (ticket_.try_lock_raw()) {
      lock_order_acquired(this, kRank, SpinKind::kPlain, true);
      return true;
    }
    machine::preemption_enable();
    return false;
  }
  void unlock() RELEASE() NO_THREAD_SAFETY_ANALYSIS {
    lock_order_released(this);
    ticket_.unlock_raw();
    machine::preemption_enable();
  }
  bool is_locked() const { return ticket_.is_locked(); }

 private:
  TicketLock ticket_;
};

template <LockRank kRank>
class CAPABILITY("interrupt spin lock") InterruptSpinLock {
 public:
  static_assert(kRank > LockRank::kSleepingLast);
  constexpr InterruptSpinLock() = default;

  // Returns the interrupt state to give back to unlock().
  [[nodiscard]] uint32_t lock() ACQUIRE() NO_THREAD_SAFETY_ANALYSIS {
    uint32_t state = machine::interrupts_save_and_disable();
    ticket_.lock_raw();
    lock_order_acquired(this, kRank, SpinKind::kInterrupt, false);
    return state;
  }
  void unlock(uint32_t state) RELEASE() NO_THREAD_SAFETY_ANALYSIS {
    lock_order_released(this);
    ticket_.unlock_raw();
    machine::interrupts_restore(state);
  }
  // For who has interrupts masked already, and keeps them so.
  void lock_masked() ACQUIRE() NO_THREAD_SAFETY_ANALYSIS {
    ticket_.lock_raw();
    lock_order_acquired(this, kRank, SpinKind::kInterrupt, false);
  }
  void unlock_masked() RELEASE() NO_THREAD_SAFETY_ANALYSIS {
    lock_order_released(this);
    ticket_.unlock_raw();
  }
  bool is_locked() const { return ticket_.is_locked(); }

 private:
  TicketLock ticket_;
};

// Scoped holders: `LockGuard guard(lock);` for SpinLock, Mutex and the sides of RwLock that look like one.
template <typename Lock>
class SCOPED_CAPABILITY LockGuard {
 public:
  explicit LockGuard(Lock& lock) ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
  ~LockGuard() RELEASE() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Lock& lock_;
};

template <LockRank kRank>
class SCOPED_CAPABILITY InterruptLockGuard {
 public:
  explicit InterruptLockGuard(InterruptSpinLock<kRank>& lock) ACQUIRE(lock) : lock_(lock), state_(lock.lock()) {}
  ~InterruptLockGuard() RELEASE() { lock_.unlock(state_); }
  InterruptLockGuard(const InterruptLockGuard&) = delete;
  InterruptLockGuard& operator=(const InterruptLockGuard&) = delete;

 private:
  InterruptSpinLock<kRank>& lock_;
  uint32_t state_;
};

}  // namespace faultline
