// Who waits for which futex: keys, waiters, and the hash table of them.
//
// Protocol, as Linux's: who waits locks the key's bucket, looks at the word, and stands in the bucket before it is unlocked; who changes
// the word locks the bucket afterwards. So a waiter that saw the old value is found, and no wake-up is spent on one that has seen the new.
// Under the lock user memory can be touched only where it is in memory: a fault there fails at once (kernel/trap.cpp), and is taken again,
// with nothing locked, before the next attempt.
#pragma once

#include <array>
#include <cstdint>

#include "kernel/clock_timer.h"
#include "kernel/futex.h"
#include "kernel/priority_lending.h"
#include "kernel/process.h"
#include "kernel/thread.h"
#include "lib/address.h"
#include "lib/late.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "mm/object.h"
#include "mm/space.h"

namespace faultline {

// Bits of the word of a lock whose owner is known by its number.
inline constexpr uint32_t kFutexWaiters = 0x80000000, kFutexOwnerDied = 0x40000000, kFutexOwner = 0x3fffffff;
inline constexpr uint32_t kFutexAllBits = ~0u;

// Shared words are known by their place in an object, private ones by that in a space.
struct FutexKey {
  AddressSpace::PageName name;
  uint32_t offset;
  bool operator==(const FutexKey&) const = default;
};

// The key of an address for an operation. With `keep`, the object of a shared one stays while the reference does. kINVAL: misaligned;
// kFAULT.
inline Result<void> futex_key(VirtAddr address, uint32_t operation, FutexKey& key, Ref<Object>* keep = nullptr) {
  if (address.value() & 3) return Errno::kINVAL;
  if (!address.is_user()) return Errno::kFAULT;
  AddressSpace& space = current_process().space();
  key.offset = address.page_offset();
  if (!(operation & kFutexPrivate)) return space.name_page(address, key.name, keep);
  key.name = space.private_name(address);
  return {};
}

struct FutexBucket;

// A thread that waits, on its own stack. Guarded by the lock of the bucket it stands in.
struct FutexWaiter : ListNode<> {
  enum class Kind : uint8_t { kPlain, kInheriting };

  explicit FutexWaiter(Kind what = Kind::kPlain) : thread(&running_thread()), kind(what) {}
  FutexKey key;
  Thread* thread;
  uint32_t bits = kFutexAllBits;
  Atomic<FutexBucket*> bucket{nullptr};  // which one it stands in; changed by requeueing under both locks
  Atomic<bool> was_woken{false};
  const Kind kind;
  Ref<Object> object;  // keeps the key from naming something else
};

struct FutexBucket {
  SpinLock<LockRank::kFutex> lock;
  Late<List<FutexWaiter>> waiters;  // GUARDED_BY(lock), the most urgent first

  void add(FutexWaiter& waiter) REQUIRES(lock) {
    if (waiter.thread->priority == 0) [[likely]]
      waiters->push_back(waiter);
    else
      add_urgent(waiter);
  }

 private:
  void add_urgent(FutexWaiter& waiter) REQUIRES(lock);
};

inline constexpr uint32_t kFutexBuckets = 256;
extern std::array<FutexBucket, kFutexBuckets> futex_buckets;
inline FutexBucket& futex_bucket_of(const FutexKey& key) {
  constexpr uint32_t kShift = 24;
  static_assert(1u << (32 - kShift) == kFutexBuckets);
  uint32_t mixed = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(key.name.owner) >> 6) ^ key.name.page << 10 ^ key.offset >> 2;
  return futex_buckets.data()[mixed * 2654435761u >> kShift];  // Knuth's multiplicative hash
}

// Two buckets, in order of their place; the second by trying, which the witness, who knows ranks only, lets pass.
class TwoBuckets {
 public:
  TwoBuckets(FutexBucket& one, FutexBucket& other) NO_THREAD_SAFETY_ANALYSIS : first_(&one < &other ? one : other),
                                                                               second_(&one < &other ? other : one) {
    first_.lock.lock();
    if (&second_ == &first_) return;
    while (!second_.lock.try_lock()) machine::relax();
  }
  ~TwoBuckets() NO_THREAD_SAFETY_ANALYSIS {
    if (&second_ != &first_) second_.lock.unlock();
    first_.lock.unlock();
  }
  TwoBuckets(const TwoBuckets&) = delete;
  TwoBuckets& operator=(const TwoBuckets&) = delete;

 private:
  FutexBucket& first_;
  FutexBucket& second_;
};

// Fills in the waiter's key and bucket.
inline Result<void> futex_name(FutexWaiter& waiter, VirtAddr address, uint32_t operation) {
  TRY(futex_key(address, operation, waiter.key, &waiter.object));
  waiter.bucket.store(&futex_bucket_of(waiter.key), memory_order_relaxed);
  return {};
}
// Touches the word as the next attempt will, so that it finds it in memory. kFAULT.
Result<void> futex_fault_in(VirtAddr address);
Result<void> futex_fault_in_for_writing(VirtAddr address);

// Wakes waiters of a key whose bits meet `bits`, most urgent first. As Linux does, at least one. kINVAL: one of them waits for a lock.
Result<uint32_t> futex_wake_key(const FutexKey& key, uint32_t count, uint32_t bits);

// futex_pi.cpp
Result<uint32_t> futex_lock_pi(VirtAddr address, uint32_t operation, const TimeLimit& limit);
Result<uint32_t> futex_trylock_pi(VirtAddr address, uint32_t operation);
Result<uint32_t> futex_unlock_pi(VirtAddr address, uint32_t operation);
// The word of a robust lock, if it still names the ending thread: who waits in the kernel has the lock at once, and writes the word; the word says
// that the owner died only if nobody does, for then whoever looks at it in user mode may take it.
void futex_owner_died_pi(Thread& self, VirtAddr address);

}  // namespace faultline
