// Locks with priority inheritance: FUTEX_LOCK_PI and its kin. The word holds the owner's number, FUTEX_WAITERS when somebody waits in the
// kernel, FUTEX_OWNER_DIED after a death. Taking it when it is 0 and giving it back without waiters is the program's own affair.
//
// Who waits lends its priority to the owner (priority_lending.h) and stands in the bucket with all others who wait for the same word; all of
// them have the same borrower. The lock is never free while somebody waits: it is granted to the most urgent one, who stays in the bucket
// until it runs, so that whoever comes meanwhile finds the owner. The word says so at once, unless the owner died: then its successor
// writes it.
#include "kernel/calls.h"
#include "kernel/futex.h"
#include "kernel/futex_table.h"
#include "kernel/pid.h"
#include "kernel/process.h"

namespace faultline {

namespace {

struct LockWaiter : FutexWaiter, PriorityLoan {
  LockWaiter() : FutexWaiter(Kind::kInheriting), PriorityLoan(Cause::kFutex) { lender = thread; }
  Atomic<bool> has_lock{false};  // granted; changes under the bucket's lock
  bool must_write_word = false;  // its predecessor died
};

// Calls visit(waiter) for those who wait for the lock with this key; kINVAL if others wait for its word. The bucket is locked.
template <typename Visit>
Result<void> for_each_waiter(FutexBucket& bucket, const FutexKey& key, Visit visit) {
  for (FutexWaiter& waiter : *bucket.waiters) {
    if (waiter.key != key) continue;
    if (waiter.kind != FutexWaiter::Kind::kInheriting) return Errno::kINVAL;
    visit(static_cast<LockWaiter&>(waiter));
  }
  return {};
}

// Who has the lock as the kernel knows it, and who shall have it next. Nobody: nobody waits.
struct Standing {
  Thread* holder = nullptr;
  bool is_in_word = true;  // the word must name the holder
  LockWaiter* next = nullptr;
  uint32_t waiting = 0;  // `next` included
};
Result<Standing> standing_of(FutexBucket& bucket, const FutexKey& key) {
  Standing result;
  TRY(for_each_waiter(bucket, key, [&](LockWaiter& waiter) {
    if (waiter.has_lock.load(memory_order_relaxed)) {
      result.holder = waiter.thread;
      result.is_in_word = !waiter.must_write_word;
      return;
    }
    if (!result.holder) result.holder = waiter.borrower;
    if (!result.next || waiter.thread->priority > result.next->thread->priority) result.next = &waiter;
    result.waiting++;
  }));
  return result;
}

// ---------------------------------------------------------------- taking

enum class Attempt : uint8_t {
  kTaken,
  kQueued,
  kBusy,     // somebody else has it; only when asked not to wait
  kFault,    // the word is not in memory, or not writable
  kChanged,  // the word changed meanwhile
};
enum class IfBusy : uint8_t { kWait, kReturn };

// To the owner that the word names, when nobody waits yet. kSRCH: there is no such thread (any more).
Result<void> lend_to_named(LockWaiter& waiter, uint32_t number, IfBusy if_busy) {
  InterruptLockGuard table(process_table_lock);
  Thread* owner = pid_find_thread_locked(number);
  InterruptLockGuard guard(priority_loans_lock);
  if (!owner || owner->no_more_loans) return Errno::kSRCH;
  return if_busy == IfBusy::kWait ? priority_lend_locked(waiter, *owner) : Result<void>();
}

Result<void> lend_to_holder(LockWaiter& waiter, const Standing& standing, uint32_t value, IfBusy if_busy) {
  uint32_t named = value & kFutexOwner;
  bool is_right = named == standing.holder->id() || (named == 0 && (value & kFutexOwnerDied));
  if (standing.is_in_word && !is_right) return Errno::kINVAL;
  InterruptLockGuard guard(priority_loans_lock);
  return if_busy == IfBusy::kWait ? priority_lend_locked(waiter, *standing.holder) : Result<void>();
}

// One attempt; the waiter's bucket is locked.
Result<Attempt> attempt_locked(LockWaiter& waiter, FutexBucket& bucket, VirtAddr address, IfBusy if_busy) {
  const uint32_t self = waiter.thread->id();
  uint32_t value;
  if (!user_load_u32(address, value)) return Attempt::kFault;
  const uint32_t named = value & kFutexOwner;
  if (named == self) return Errno::kDEADLK;
  Standing standing = TRY(standing_of(bucket, waiter.key));
  bool is_free = !standing.holder && named == 0;
  uint32_t wanted = is_free ? self | (value & kFutexOwnerDied) : if_busy == IfBusy::kWait ? value | kFutexWaiters : value;
  uint32_t seen = value;
  if (wanted != value && !user_compare_exchange_u32(address, seen, wanted)) return Attempt::kFault;
  if (seen != value) return Attempt::kChanged;
  if (is_free) return Attempt::kTaken;
  Result<void> lent = standing.holder ? lend_to_holder(waiter, standing, value, if_busy) : lend_to_named(waiter, named, if_busy);
  if (lent.ok()) return if_busy == IfBusy::kWait ? Attempt::kQueued : Attempt::kBusy;
  // An owner that is gone has left its word behind, or has changed it on its way.
  if (lent.error() != Errno::kSRCH) return lent.error();
  if (!user_load_u32(address, seen)) return Attempt::kFault;
  return seen == wanted ? Result<Attempt>(Errno::kSRCH) : Attempt::kChanged;
}

Result<Attempt> attempt(LockWaiter& waiter, VirtAddr address, uint32_t operation, IfBusy if_busy) {
  for (;;) {
    TRY(futex_name(waiter, address, operation));
    {
      FutexBucket& bucket = *waiter.bucket.load(memory_order_relaxed);
      LockGuard guard(bucket.lock);
      Attempt result = TRY(attempt_locked(waiter, bucket, address, if_busy));
      if (result == Attempt::kQueued) bucket.add(waiter);
      if (result == Attempt::kChanged) {
        // Looked at again with the bucket unlocked in between: who changes it could go on for ever.
        if (fatal_signal_is_pending()) return Errno::kRESTARTNOINTR;
        continue;
      }
      if (result != Attempt::kFault) return result;
    }
    TRY(futex_fault_in_for_writing(address));
  }
}

// ---------------------------------------------------------------- passing on

// `next` gets the lock, and the others wait for it from now on. The bucket is locked.
void grant_locked(FutexBucket& bucket, LockWaiter& next) {
  {
    InterruptLockGuard guard(priority_loans_lock);
    priority_take_back_locked(next);
    ignore_result(for_each_waiter(bucket, next.key, [&](LockWaiter& other) NO_THREAD_SAFETY_ANALYSIS {
      if (&other == &next) return;
      priority_take_back_locked(other);
      ignore_result(priority_lend_locked(other, *next.thread));  // who waits for nothing is in no cycle
    }));
  }
  next.has_lock.store(true, memory_order_release);
  wake(*next.thread);  // it stays until it gets the bucket's lock
}

// The word names its new owner, after a death. False: it is not there to be written.
bool write_word_locked(FutexBucket& bucket, const LockWaiter& owner, VirtAddr address) {
  Result<Standing> standing = standing_of(bucket, owner.key);
  uint32_t others = standing.ok() && standing.value().next ? kFutexWaiters : 0, value;
  if (!user_load_u32(address, value)) return false;
  for (;;) {
    uint32_t seen = value;
    if (!user_compare_exchange_u32(address, seen, owner.thread->id() | kFutexOwnerDied | others)) return false;
    if (seen == value) return true;
    value = seen;
  }
}

// A lock whose word its new owner cannot write goes to the next.
void decline_locked(FutexBucket& bucket, LockWaiter& waiter) {
  bucket.waiters->remove(waiter);
  Result<Standing> standing = standing_of(bucket, waiter.key);
  if (!standing.ok() || !standing.value().next) return;
  standing.value().next->must_write_word = true;
  grant_locked(bucket, *standing.value().next);
}

// The end of a wait: out of the bucket, with the lock or with `otherwise`.
Result<uint32_t> finish(LockWaiter& waiter, VirtAddr address, Errno otherwise) {
  FutexBucket& bucket = *waiter.bucket.load(memory_order_relaxed);
  for (bool is_there = true;; is_there = futex_fault_in_for_writing(address).ok()) {
    LockGuard guard(bucket.lock);
    if (!waiter.has_lock.load(memory_order_relaxed)) {
      bucket.waiters->remove(waiter);
      InterruptLockGuard loans(priority_loans_lock);
      priority_take_back_locked(waiter);
      return otherwise;
    }
    if (!is_there) {
      decline_locked(bucket, waiter);
      return Errno::kFAULT;
    }
    if (waiter.must_write_word && !write_word_locked(bucket, waiter, address)) continue;
    bucket.waiters->remove(waiter);
    return 0u;
  }
}

// Gives the word to `next`, or frees it if there is nobody.
enum class Written : uint8_t { kYes, kFault, kNotOwner };
Written write_successor(VirtAddr address, const Standing& standing, uint32_t self) {
  uint32_t wanted = standing.next ? standing.next->thread->id() | (standing.waiting > 1 ? kFutexWaiters : 0) : 0, value;
  if (!user_load_u32(address, value)) return Written::kFault;
  for (;;) {
    if ((value & kFutexOwner) != self) return Written::kNotOwner;
    uint32_t seen = value;
    if (!user_compare_exchange_u32(address, seen, wanted)) return Written::kFault;
    if (seen == value) return Written::kYes;
    value = seen;
  }
}

// Somebody who waits in this bucket for a lock of `thread` gets it.
void hand_over(FutexBucket& bucket, const Thread& thread) {
  LockGuard guard(bucket.lock);
  for (FutexWaiter& waiter : *bucket.waiters) {
    if (waiter.kind != FutexWaiter::Kind::kInheriting || static_cast<LockWaiter&>(waiter).borrower != &thread) continue;
    Result<Standing> standing = standing_of(bucket, waiter.key);
    LockWaiter& next = standing.ok() ? *standing.value().next : static_cast<LockWaiter&>(waiter);
    next.must_write_word = true;
    grant_locked(bucket, next);
    return;
  }
}

// To who waits for the ending owner's lock under this key. False: nobody does.
bool hand_over_key_locked(FutexBucket& bucket, const FutexKey& key, const Thread& owner) {
  Result<Standing> standing = standing_of(bucket, key);
  if (!standing.ok() || standing.value().holder != &owner) return false;
  standing.value().next->must_write_word = true;
  grant_locked(bucket, *standing.value().next);
  return true;
}

}  // namespace

Result<uint32_t> futex_lock_pi(VirtAddr address, uint32_t operation, const TimeLimit& limit) {
  LockWaiter waiter;
  Attempt result = TRY(attempt(waiter, address, operation, IfBusy::kWait));
  if (result == Attempt::kTaken) return 0u;
  Result<void> slept;
  while (!waiter.has_lock.load(memory_order_acquire) && slept.ok()) slept = limit.block(SleepKind::kInterruptible);
  return finish(waiter, address, slept.error() == Errno::kTIMEDOUT ? Errno::kTIMEDOUT : Errno::kRESTARTNOINTR);
}

Result<uint32_t> futex_trylock_pi(VirtAddr address, uint32_t operation) {
  LockWaiter waiter;
  Attempt result = TRY(attempt(waiter, address, operation, IfBusy::kReturn));
  return result == Attempt::kTaken ? Result<uint32_t>(0u) : Errno::kAGAIN;
}

Result<uint32_t> futex_unlock_pi(VirtAddr address, uint32_t operation) {
  Thread& self = running_thread();
  for (;;) {
    FutexKey key;
    TRY(futex_key(address, operation, key));
    {
      FutexBucket& bucket = futex_bucket_of(key);
      LockGuard guard(bucket.lock);
      uint32_t value;
      bool is_there = user_load_u32(address, value);
      if (is_there && (value & kFutexOwner) != self.id()) return Errno::kPERM;
      if (is_there) {
        Standing standing = TRY(standing_of(bucket, key));
        if (standing.holder && standing.holder != &self) return Errno::kINVAL;
        Written written = write_successor(address, standing, self.id());
        if (written == Written::kNotOwner) return Errno::kINVAL;
        if (written == Written::kYes && standing.next) grant_locked(bucket, *standing.next);
        if (written == Written::kYes) return 0u;
      }
    }
    TRY(futex_fault_in_for_writing(address));
  }
}

void futex_owner_died_pi(Thread& self, VirtAddr address) {
  for (;;) {
    FutexKey shared, own;
    if (!futex_key(address, 0, shared).ok() || !futex_key(address, kFutexPrivate, own).ok()) return;
    {
      FutexBucket &first = futex_bucket_of(shared), &second = futex_bucket_of(own);
      TwoBuckets locked(first, second);
      uint32_t value;
      bool is_there = user_load_u32(address, value);
      if (is_there && (value & kFutexOwner) != self.id()) return;
      if (is_there && (hand_over_key_locked(first, shared, self) || hand_over_key_locked(second, own, self))) return;
      while (is_there && (value & kFutexOwner) == self.id()) {
        uint32_t seen = value;
        is_there = user_compare_exchange_u32(address, seen, (value & kFutexWaiters) | kFutexOwnerDied);
        if (is_there && seen == value) return;
        value = seen;
      }
      if (is_there) return;
    }
    if (!futex_fault_in_for_writing(address).ok()) return;
  }
}

void futex_hand_over_all(Thread& thread) {
  for (;;) {
    FutexBucket* bucket;
    {
      InterruptLockGuard guard(priority_loans_lock);
      PriorityLoan* loan = thread.loans.front();
      while (loan && loan->cause != PriorityLoan::Cause::kFutex) loan = thread.loans.next(*loan);
      if (!loan) {
        thread.no_more_loans = true;
        return;
      }
      bucket = static_cast<LockWaiter*>(loan)->bucket.load(memory_order_relaxed);
    }
    hand_over(*bucket, thread);
  }
}

}  // namespace faultline
