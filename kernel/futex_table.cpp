// The table of who waits for which futex: see futex_table.h.
#include "kernel/futex_table.h"

#include "kernel/futex.h"
#include "kernel/process.h"
#include "mm/space.h"

namespace faultline {

constinit std::array<FutexBucket, kFutexBuckets> futex_buckets;

void futexes_initialize() {
  for (FutexBucket& bucket : futex_buckets) bucket.waiters.construct();
}

Result<void> futex_key(VirtAddr address, uint32_t operation, FutexKey& key, Ref<Object>* keep) {
  if (address.value() & 3) return Errno::kINVAL;
  if (!address.is_user()) return Errno::kFAULT;
  AddressSpace& space = current_process().space();
  key.offset = address.page_offset();
  if (!(operation & kFutexPrivate)) return space.name_page(address, key.name, keep);
  key.name = space.private_name(address);
  return {};
}

void FutexBucket::add_urgent(FutexWaiter& waiter) {
  uint8_t priority = waiter.thread->priority;
  FutexWaiter* before = waiters->front();
  while (before && before->thread->priority >= priority) before = waiters->next(*before);
  if (before)
    waiters->insert_before(*before, waiter);
  else
    waiters->push_back(waiter);
}

Result<void> futex_name(FutexWaiter& waiter, VirtAddr address, uint32_t operation) {
  TRY(futex_key(address, operation, waiter.key, &waiter.object));
  waiter.bucket.store(futex_bucket_of(waiter.key), memory_order_relaxed);
  return {};
}

bool futex_leave(FutexWaiter& waiter) {
  for (;;) {
    bool was_woken = waiter.was_woken.load(memory_order_acquire);  // looked at first: then the bucket is the one that it was woken in
    uint32_t index = waiter.bucket.load(memory_order_acquire);
    FutexBucket& bucket = futex_buckets[index];
    // A waker touches the waiter, and the thread, until it unlocks the bucket; mostly it has.
    if (was_woken && !bucket.lock.is_locked()) return false;
    LockGuard guard(bucket.lock);
    if (waiter.bucket.load(memory_order_relaxed) != index) continue;
    if (waiter.was_woken.load(memory_order_relaxed)) return false;
    bucket.waiters->remove(waiter);
    return true;
  }
}

Result<void> futex_fault_in(VirtAddr address) {
  uint32_t value;
  return user_load_u32(address, value) ? Result<void>() : Errno::kFAULT;
}

Result<void> futex_fault_in_for_writing(VirtAddr address) {
  uint32_t value;
  if (!user_load_u32(address, value)) return Errno::kFAULT;
  return user_compare_exchange_u32(address, value, value) ? Result<void>() : Errno::kFAULT;
}

}  // namespace faultline
