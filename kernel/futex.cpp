// futex(2): waiting, waking, requeueing. Locks with priority inheritance are futex_pi.cpp's.
#include "kernel/futex.h"

#include <machine/user_inline.h>

#include "kernel/calls.h"
#include "kernel/futex_table.h"
#include "kernel/process.h"

namespace faultline {

namespace {

enum Command : uint32_t {
  kWait = kFutexWait,
  kWake = kFutexWake,
  kRequeue = 3,
  kCompareRequeue = 4,
  kWakeOperation = 5,
  kLockInheriting = 6,
  kUnlockInheriting = 7,
  kTryLockInheriting = 8,
  kWaitBits = 9,
  kWakeBits = 10,
  kWaitRequeueInheriting = 11,     // 11 and 12: no C library has used them since glibc 2.25's condition variables, none tells them
  kCompareRequeueInheriting = 12,  // from a kernel without; ENOSYS
  kLockInheritingOnEitherClock = 13,
};

constexpr uint32_t kFutexClockRealtime = 256;  // a bit beside the command

struct Wait {
  VirtAddr address;
  uint32_t operation;
  uint32_t expected;
  uint32_t bits;
};

// Stands in the bucket if the word has the expected value. kAGAIN: it has another; kFAULT.
Result<void> enter_if_equal(FutexWaiter& waiter, const Wait& wait) {
  for (;;) {
    TRY(futex_name(waiter, wait.address, wait.operation));
    {
      FutexBucket& bucket = *waiter.bucket.load(memory_order_relaxed);
      LockGuard guard(bucket.lock);
      uint32_t value;
      if (machine::user_load(wait.address, value)) [[likely]] {
        if (value != wait.expected) return Errno::kAGAIN;
        bucket.add(waiter);
        return {};
      }
    }
    TRY(futex_fault_in(wait.address));
  }
}

// Takes a waiter out that may have been woken. False: it was, and whoever did it has let go of it.
bool leave(FutexWaiter& waiter) {
  for (;;) {
    bool was_woken = waiter.was_woken.load(memory_order_acquire);  // looked at first: then the bucket is the one that it was woken in
    FutexBucket& bucket = *waiter.bucket.load(memory_order_acquire);
    // A waker touches the waiter, and the thread, until it unlocks the bucket; mostly it has.
    if (was_woken && !bucket.lock.is_locked()) [[likely]]
      return false;
    LockGuard guard(bucket.lock);
    if (waiter.bucket.load(memory_order_relaxed) != &bucket) continue;
    if (waiter.was_woken.load(memory_order_relaxed)) return false;
    bucket.waiters->remove(waiter);
    return true;
  }
}

// A wait without a time-out is started again after a handler with SA_RESTART, one with a time-out only when no handler ran, and then with
// the end it had.
Errno interrupted(const TimeLimit& limit) {
  if (limit.wall_time != 0) return Errno::kRESTARTNOHAND;
  if (limit.deadline.is_never()) return Errno::kRESTARTSYS;
  running_thread().restart_deadline = limit.deadline.nanoseconds;
  return Errno::kRESTARTNOHAND;
}

Result<uint32_t> wait(const Wait& wait, const TimeLimit& limit) {
  if (wait.bits == 0) return Errno::kINVAL;
  FutexWaiter waiter;
  waiter.bits = wait.bits;
  TRY(enter_if_equal(waiter, wait));
  Result<void> slept;
  do slept = limit.block(SleepKind::kInterruptible);  // at once, if it was woken already: there is a permit
  while (slept.ok() && !waiter.was_woken.load(memory_order_acquire));
  if (!leave(waiter)) return 0u;
  return slept.error() == Errno::kTIMEDOUT ? Errno::kTIMEDOUT : interrupted(limit);
}

// The waiter is out of the bucket, and may be gone as soon as that is unlocked.
void wake_one_locked(FutexBucket& bucket, FutexWaiter& waiter) {
  bucket.waiters->remove(waiter);
  Thread& thread = *waiter.thread;
  waiter.was_woken.store(true, memory_order_release);
  wake(thread);
}

// `count` and the limits of requeueing are ints, as Linux has them.
Result<uint32_t> wake_locked(FutexBucket& bucket, const FutexKey& key, int32_t count, uint32_t bits) {
  uint32_t woken = 0;
  for (FutexWaiter& waiter : *bucket.waiters) {
    if (waiter.key != key) continue;
    if (waiter.kind == FutexWaiter::Kind::kInheriting) return Errno::kINVAL;
    if (!(waiter.bits & bits)) continue;
    wake_one_locked(bucket, waiter);
    if (static_cast<int32_t>(++woken) >= count) break;
  }
  return woken;
}

// A shared word must be there, as on Linux, which looks for its page: past a file's end there is none.
Result<void> key_of_word(VirtAddr address, uint32_t operation, FutexKey& key) {
  TRY(futex_key(address, operation, key));
  uint32_t value;
  return (operation & kFutexPrivate) || machine::user_load(address, value) ? Result<void>() : Errno::kFAULT;
}

struct Requeue {
  VirtAddr from, to;
  uint32_t operation;
  int32_t wake_count, move_count;
  const uint32_t* expected;  // null: whatever the word holds
};

// Wakes some who wait for `source` and lets others wait for `target` instead; how many of both. The buckets of both are locked.
Result<uint32_t> requeue_locked(const FutexKey& source, const FutexKey& target, const Ref<Object>& target_object,
                                const Requeue& wish) NO_THREAD_SAFETY_ANALYSIS {
  FutexBucket &from = futex_bucket_of(source), &to = futex_bucket_of(target);
  int32_t woken = 0, moved = 0;
  for (FutexWaiter& waiter : *from.waiters) {
    if (woken >= wish.wake_count && moved >= wish.move_count) break;
    if (waiter.key != source) continue;
    if (waiter.kind == FutexWaiter::Kind::kInheriting) return Errno::kINVAL;
    if (woken < wish.wake_count) {
      woken++;
      wake_one_locked(from, waiter);
      continue;
    }
    moved++;
    if (source == target) continue;
    waiter.key = target;
    waiter.object = target_object;  // never the last reference to the old one: the caller has one too
    from.waiters->remove(waiter);
    to.add(waiter);
    waiter.bucket.store(&to, memory_order_release);
  }
  return static_cast<uint32_t>(woken + moved);
}

Result<uint32_t> requeue(const Requeue& wish) {
  if (wish.wake_count < 0 || wish.move_count < 0) return Errno::kINVAL;
  for (;;) {
    Ref<Object> source_object, target_object;
    FutexKey source, target;
    TRY(futex_key(wish.from, wish.operation, source, &source_object));
    TRY(futex_key(wish.to, wish.operation, target, &target_object));
    {
      TwoBuckets locked(futex_bucket_of(source), futex_bucket_of(target));
      uint32_t value;
      if (!wish.expected) return requeue_locked(source, target, target_object, wish);
      if (user_load_u32(wish.from, value)) [[likely]]
        return value == *wish.expected ? requeue_locked(source, target, target_object, wish) : Errno::kAGAIN;
    }
    TRY(futex_fault_in(wish.from));
  }
}

// What FUTEX_WAKE_OP's last argument says: change the word, and compare what it was.
struct WakeOperation {
  uint32_t code, comparison, argument;
  int32_t compared;

  explicit WakeOperation(uint32_t encoded) {
    auto extend = [](uint32_t field) { return static_cast<int32_t>(field << 20) >> 20; };
    code = encoded >> 28 & 7;
    comparison = encoded >> 24 & 15;
    argument = static_cast<uint32_t>(extend(encoded >> 12 & 0xfff));
    compared = extend(encoded & 0xfff);
    if (encoded >> 31) argument = 1u << (argument & 31);
  }
  Result<uint32_t> applied_to(uint32_t old) const {
    const uint32_t values[] = {argument, old + argument, old | argument, old & ~argument, old ^ argument};
    if (code >= std::size(values)) return Errno::kNOSYS;
    return values[code];
  }
  Result<bool> compare(uint32_t old) const {
    auto before = static_cast<int32_t>(old);
    const bool results[] = {before == compared, before != compared, before<compared, before <= compared, before> compared,
                            before >= compared};
    if (comparison >= std::size(results)) return Errno::kNOSYS;
    return results[comparison];
  }
};

// Changes the second word, then wakes at the first, and at the second if its old value compares.
Result<uint32_t> wake_operation(VirtAddr address, VirtAddr second, uint32_t operation, uint32_t count, uint32_t second_count,
                                uint32_t encoded) {
  FutexKey key, second_key;
  TRY(futex_key(address, operation, key));
  TRY(futex_key(second, operation, second_key));
  const WakeOperation wish(encoded);
  uint32_t old;
  if (!user_load_u32(second, old)) return Errno::kFAULT;
  for (;;) {
    uint32_t seen = old, wanted = TRY(wish.applied_to(old));
    if (!user_compare_exchange_u32(second, seen, wanted)) return Errno::kFAULT;
    if (seen == old) break;
    old = seen;
  }
  bool wakes_second = TRY(wish.compare(old));
  uint32_t woken = TRY(futex_wake_key(key, count, kFutexAllBits));
  if (wakes_second) woken += TRY(futex_wake_key(second_key, second_count, kFutexAllBits));
  return woken;
}

// FUTEX_WAIT's time-out is relative, FUTEX_LOCK_PI's always of the wall clock.
template <typename Time>
Result<TimeLimit> limit_of(uint32_t command, uint32_t operation, UserPtr<Time> timeout) {
  Time time = TRY(user_read(timeout));
  uint64_t nanoseconds = TRY(nanoseconds_of(time));
  // A call that is started again has the end it had.
  if (uint64_t interrupted = std::exchange(running_thread().restart_deadline, 0)) return TimeLimit{Deadline{interrupted}};
  if (command == kWait) return TimeLimit{deadline_after(nanoseconds)};
  if (command != kLockInheriting && !(operation & kFutexClockRealtime)) return TimeLimit{Deadline{nanoseconds}};
  return TimeLimit::at_wall_time(nanoseconds);
}

bool may_name_clock(uint32_t command) {
  return command == kWaitBits || command == kWaitRequeueInheriting || command == kLockInheritingOnEitherClock;
}

template <typename Time>
Result<uint32_t> futex(VirtAddr address, uint32_t operation, uint32_t value, UserPtr<Time> timeout, VirtAddr second, uint32_t value3) {
  uint32_t command = operation & ~(kFutexPrivate | kFutexClockRealtime);
  if ((operation & kFutexClockRealtime) && !may_name_clock(command)) return Errno::kNOSYS;
  uint32_t value2 = timeout.address().value();  // the same register, for the commands without a time-out
  auto wake_count = static_cast<int32_t>(value), move_count = static_cast<int32_t>(value2);
  switch (command) {
    case kWait:
    case kWaitBits: {
      TimeLimit limit;
      if (!timeout.is_null()) limit = TRY(limit_of(command, operation, timeout));
      return wait({address, operation, value, command == kWait ? kFutexAllBits : value3}, limit);
    }
    case kWake: return futex_wake(address, operation, value);
    case kWakeBits: {
      if (value3 == 0) return Errno::kINVAL;
      FutexKey key;
      TRY(key_of_word(address, operation, key));
      return futex_wake_key(key, value, value3);
    }
    case kRequeue: return requeue({address, second, operation, wake_count, move_count, nullptr});
    case kCompareRequeue: return requeue({address, second, operation, wake_count, move_count, &value3});
    case kWakeOperation: return wake_operation(address, second, operation, value, value2, value3);
    case kLockInheriting:
    case kLockInheritingOnEitherClock: {
      TimeLimit limit;
      if (!timeout.is_null()) limit = TRY(limit_of(command, operation, timeout));
      return futex_lock_pi(address, operation, limit);
    }
    case kTryLockInheriting: return futex_trylock_pi(address, operation);
    case kUnlockInheriting: return futex_unlock_pi(address, operation);
    default: return Errno::kNOSYS;
  }
}

}  // namespace

Result<uint32_t> futex_wake_key(const FutexKey& key, uint32_t count, uint32_t bits) {
  FutexBucket& bucket = futex_bucket_of(key);
  LockGuard guard(bucket.lock);
  return wake_locked(bucket, key, static_cast<int32_t>(count), bits);
}

// Flat: what these two call is compiled into them, but for what is out of line on purpose.
[[gnu::flatten]] Result<uint32_t> futex_wait(VirtAddr address, uint32_t operation, uint32_t expected) {
  return wait({address, operation, expected, kFutexAllBits}, TimeLimit{});
}

[[gnu::flatten]] Result<uint32_t> futex_wake(VirtAddr address, uint32_t operation, uint32_t count) {
  FutexKey key;
  TRY(key_of_word(address, operation, key));
  return futex_wake_key(key, count, kFutexAllBits);
}

uint32_t futex_wake_address(VirtAddr address, uint32_t count) {
  FutexKey key;
  if (!futex_key(address, 0, key).ok()) return 0;
  Result<uint32_t> woken = futex_wake_key(key, count, kFutexAllBits);
  return woken.ok() ? woken.value() : 0;
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
