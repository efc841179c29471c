// The table of who waits for which futex: see futex_table.h.
#include "kernel/futex_table.h"

#include "arch/user_copy.h"

namespace faultline {

constinit std::array<FutexBucket, kFutexBuckets> futex_buckets;

void futexes_initialize() {
  for (FutexBucket& bucket : futex_buckets) bucket.waiters.construct();
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
