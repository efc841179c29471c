// Futexes: see futex.h. A waiter enters its bucket before it looks at the word; who changes the word looks into the bucket afterwards: one of
// the two always sees the other.
#include "kernel/futex.h"

#include <algorithm>
#include <array>

#include "kernel/calls.h"
#include "kernel/process.h"
#include "lib/late.h"

namespace faultline {

namespace {

constexpr uint32_t kWait = 0, kWake = 1, kRequeue = 3, kCompareRequeue = 4, kWakeOperation = 5, kWaitBits = 9, kWakeBits = 10;
constexpr uint32_t kPrivate = 128, kClockRealtime = 256;
constexpr uint32_t kAllBits = ~0u;

// Private words are known by space and address, shared ones by object and offset.
struct Key {
  const void* owner = nullptr;
  uint64_t place = 0;
  bool operator==(const Key&) const = default;
  uint32_t hash() const {
    auto mixed = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(owner) >> 6) ^ static_cast<uint32_t>(place >> 2);
    return mixed * 2654435761u;
  }
};

struct Waiter : ListNode<> {
  Key key;
  Thread* thread = nullptr;
  uint32_t bits = kAllBits;
  Atomic<uint32_t> bucket{0};  // which one it stands in; changed by requeue under both locks
  Atomic<bool> was_woken{false};
};

struct Bucket {
  SpinLock<LockRank::kWaitQueue> lock;
  Late<List<Waiter>> waiters;  // GUARDED_BY(lock)
};

constexpr uint32_t kBuckets = 128;
constinit std::array<Bucket, kBuckets> buckets;

uint32_t bucket_of(const Key& key) { return key.hash() >> 25; }
static_assert(1u << (32 - 25) == kBuckets);

Result<Key> key_of(VirtAddr address, uint32_t operation) {
  if (address.value() & 3) return Errno::kINVAL;
  if (!address.is_user()) return Errno::kFAULT;
  AddressSpace& space = current_process().space();
  if (!(operation & kPrivate)) {
    AddressSpace::SharedPlace shared = TRY(space.shared_place(address));
    if (shared.object) return Key{shared.object, shared.offset};
  }
  return Key{&space, address.value()};
}

uint32_t wake_locked(Bucket& bucket, const Key& key, uint32_t count, uint32_t bits) {
  uint32_t woken = 0;
  for (Waiter& waiter : *bucket.waiters) {
    if (woken == count) break;
    if (waiter.key != key || !(waiter.bits & bits)) continue;
    bucket.waiters->remove(waiter);
    Thread& thread = *waiter.thread;
    waiter.was_woken.store(true, memory_order_release);  // the waiter stays until the bucket is unlocked: leave()
    wake(thread);
    woken++;
  }
  return woken;
}

uint32_t wake_key(const Key& key, uint32_t count, uint32_t bits) {
  Bucket& bucket = buckets[bucket_of(key)];
  LockGuard guard(bucket.lock);
  return wake_locked(bucket, key, count, bits);
}

// Takes the waiter out, wherever requeueing has moved it. False: somebody woke it before.
bool leave(Waiter& waiter) {
  for (;;) {
    uint32_t index = waiter.bucket.load(memory_order_acquire);
    LockGuard guard(buckets[index].lock);
    if (waiter.bucket.load(memory_order_relaxed) != index) continue;
    if (waiter.was_woken.load(memory_order_relaxed)) return false;
    buckets[index].waiters->remove(waiter);
    return true;
  }
}

Result<uint32_t> wait(VirtAddr address, uint32_t operation, uint32_t expected, Deadline deadline, uint32_t bits, bool relative) {
  if (bits == 0) return Errno::kINVAL;
  Waiter waiter;
  waiter.key = TRY(key_of(address, operation));
  waiter.thread = &running_thread();
  waiter.bits = bits;
  uint32_t index = bucket_of(waiter.key);
  waiter.bucket.store(index, memory_order_relaxed);
  {
    LockGuard guard(buckets[index].lock);
    buckets[index].waiters->push_back(waiter);
  }
  uint32_t value = 0;
  bool readable = user_load_u32(address, value);
  if (!readable || value != expected) {
    if (!leave(waiter)) return 0u;  // woken in between: as good as any wake
    return readable ? Errno::kAGAIN : Errno::kFAULT;
  }
  Result<void> slept;
  while (!waiter.was_woken.load(memory_order_acquire) && slept.ok()) slept = block(SleepKind::kInterruptible, deadline);
  // leave() also when woken: it waits for the waker, who still holds the bucket and is about to touch this thread.
  if (!leave(waiter)) return 0u;
  if (slept.error() == Errno::kTIMEDOUT) return Errno::kTIMEDOUT;
  return relative && !deadline.is_never() ? Errno::kINTR : Errno::kRESTARTSYS;
}

// Wakes some who wait for `source` and lets others wait for `target` instead; how many of both. The buckets of both are locked.
uint32_t requeue_locked(const Key& source, const Key& target, uint32_t wake_count, uint32_t move_count) {
  uint32_t first = bucket_of(source), second = bucket_of(target);
  uint32_t woken = wake_locked(buckets[first], source, wake_count, kAllBits), moved = 0;
  for (Waiter& waiter : *buckets[first].waiters) {
    if (moved == move_count) break;
    if (waiter.key != source) continue;
    moved++;
    waiter.key = target;
    if (first == second) continue;
    buckets[first].waiters->remove(waiter);
    buckets[second].waiters->push_back(waiter);
    waiter.bucket.store(second, memory_order_release);
  }
  return woken + moved;
}

Result<uint32_t> requeue(VirtAddr from, VirtAddr to, uint32_t operation, uint32_t wake_count, uint32_t move_count,
                         const uint32_t* expected) {
  Key source = TRY(key_of(from, operation)), target = TRY(key_of(to, operation));
  if (expected) {
    uint32_t value;
    if (!user_load_u32(from, value)) return Errno::kFAULT;
    if (value != *expected) return Errno::kAGAIN;
  }
  uint32_t first = bucket_of(source), second = bucket_of(target);
  LockGuard guard(buckets[std::min(first, second)].lock);
  if (first == second) return requeue_locked(source, target, wake_count, move_count);
  // The other one, in order of their index; the witness, which knows ranks only, lets a try pass.
  Bucket& other = buckets[std::max(first, second)];
  while (!other.lock.try_lock()) machine::relax();
  uint32_t moved = requeue_locked(source, target, wake_count, move_count);
  other.lock.unlock();
  return moved;
}

// FUTEX_WAKE_OP: changes the second word, wakes at the first, and at the second if its old value compares.
Result<uint32_t> wake_operation(VirtAddr address, VirtAddr second, uint32_t operation, uint32_t count, uint32_t second_count,
                                uint32_t encoded) {
  Key key = TRY(key_of(address, operation)), second_key = TRY(key_of(second, operation));
  uint32_t code = encoded >> 28 & 7, comparison = encoded >> 24 & 15;
  auto extend = [](uint32_t field) { return static_cast<int32_t>(field << 20) >> 20; };
  auto argument = static_cast<uint32_t>(extend(encoded >> 12 & 0xfff));
  int32_t compared = extend(encoded & 0xfff);
  if (encoded >> 31) argument = 1u << (argument & 31);
  uint32_t old;
  if (!user_load_u32(second, old)) return Errno::kFAULT;
  for (;;) {
    const uint32_t values[] = {argument, old + argument, old | argument, old & ~argument, old ^ argument};
    if (code >= std::size(values)) return Errno::kNOSYS;
    uint32_t seen = old;
    if (!user_compare_exchange_u32(second, seen, values[code])) return Errno::kFAULT;
    if (seen == old) break;
    old = seen;
  }
  auto before = static_cast<int32_t>(old);
  const bool results[] = {before == compared, before != compared, before<compared, before <= compared, before> compared,
                          before >= compared};
  if (comparison >= std::size(results)) return Errno::kNOSYS;
  uint32_t woken = wake_key(key, count, kAllBits);
  if (results[comparison]) woken += wake_key(second_key, second_count, kAllBits);
  return woken;
}

Result<Deadline> deadline_of(uint32_t operation, bool absolute, uint64_t nanoseconds) {
  if (!absolute) return deadline_after(nanoseconds);
  uint64_t now = operation & kClockRealtime ? wall_clock_nanoseconds() : 0;
  if (!(operation & kClockRealtime)) return Deadline{nanoseconds};
  return nanoseconds > now ? deadline_after(nanoseconds - now) : Deadline{0};
}

template <typename Time>
Result<uint32_t> futex(VirtAddr address, uint32_t operation, uint32_t value, UserPtr<Time> timeout, VirtAddr second, uint32_t value3) {
  uint32_t command = operation & ~(kPrivate | kClockRealtime);
  uint32_t value2 = timeout.address().value();  // the same register, for the commands without a time-out
  switch (command) {
    case kWait:
    case kWaitBits: {
      Deadline deadline;
      if (!timeout.is_null()) {
        Time time = TRY(user_read(timeout));
        uint64_t nanoseconds = TRY(nanoseconds_of(time));
        deadline = TRY(deadline_of(operation, command == kWaitBits, nanoseconds));
      }
      return wait(address, operation, value, deadline, command == kWait ? kAllBits : value3, command == kWait);
    }
    case kWake:
    case kWakeBits: {
      if (command == kWakeBits && value3 == 0) return Errno::kINVAL;
      Key key = TRY(key_of(address, operation));
      return wake_key(key, value, command == kWake ? kAllBits : value3);
    }
    case kRequeue: return requeue(address, second, operation, value, value2, nullptr);
    case kCompareRequeue: return requeue(address, second, operation, value, value2, &value3);
    case kWakeOperation: return wake_operation(address, second, operation, value, value2, value3);
    default: return Errno::kNOSYS;
  }
}

}  // namespace

void futexes_initialize() {
  for (Bucket& bucket : buckets) bucket.waiters.construct();
}

uint32_t futex_wake_address(VirtAddr address, uint32_t count) {
  Result<Key> key = key_of(address, 0);
  return key.ok() ? wake_key(key.value(), count, kAllBits) : 0;
}

void futex_release_robust_list(Thread& thread) {
  constexpr uint32_t kOwnerDied = 0x40000000, kWaiters = 0x80000000, kOwnerMask = 0x3fffffff, kMostEntries = 2048;
  UserPtr<uint32_t> head(thread.robust_list);  // first entry, offset of the word in an entry, entry in progress
  uint32_t entry, offset, in_progress;
  if (!user_load_u32(head.address(), entry) || !user_load_u32(head.at(1).address(), offset) ||
      !user_load_u32(head.at(2).address(), in_progress))
    return;
  auto release = [&](uint32_t at) {
    VirtAddr word((at & ~1u) + offset);  // bit 0 marks priority-inheriting locks
    uint32_t value;
    if ((word.value() & 3) || !user_load_u32(word, value)) return;
    while ((value & kOwnerMask) == thread.id()) {
      uint32_t seen = value;
      if (!user_compare_exchange_u32(word, seen, (value & kWaiters) | kOwnerDied)) return;
      if (seen == value) {
        if (value & kWaiters) futex_wake_address(word, 1);
        return;
      }
      value = seen;
    }
  };
  for (uint32_t count = 0; (entry & ~1u) != thread.robust_list && count < kMostEntries; count++) {
    uint32_t next;
    if (!user_load_u32(VirtAddr(entry & ~1u), next)) return;
    if (entry != in_progress) release(entry);
    entry = next;
  }
  if (in_progress) release(in_progress);
}

Result<uint32_t> sys_futex(VirtAddr address, uint32_t operation, uint32_t value, UserPtr<Timespec32> timeout, VirtAddr second,
                           uint32_t value3) {
  return futex(address, operation, value, timeout, second, value3);
}

Result<uint32_t> sys_futex_time64(VirtAddr address, uint32_t operation, uint32_t value, UserPtr<Timespec64> timeout, VirtAddr second,
                                  uint32_t value3) {
  return futex(address, operation, value, timeout, second, value3);
}

}  // namespace faultline
