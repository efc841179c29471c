// Wait queues: see wait_queue.h.
#include "lib/wait_queue.h"

namespace faultline {

void WaitQueue::add(WaitEntry& entry) {
  InterruptLockGuard guard(lock_);
  if (entry.exclusive_)
    entries_.push_back(entry);
  else
    entries_.push_front(entry);
  entry.is_waiting_.store(true, memory_order_relaxed);
  waiters_.fetch_add(1, memory_order_seq_cst);
}

void WaitQueue::remove_slow(WaitEntry& entry) {
  InterruptLockGuard guard(lock_);
  if (entry.is_waiting_.load(memory_order_relaxed)) take_out_locked(entry);
}

void WaitQueue::wake_slow(uint32_t events, uint32_t exclusive_limit) {
  InterruptLockGuard guard(lock_);
  for (WaitEntry& entry : entries_) {
    if (entry.exclusive_ && exclusive_limit == 0) break;
    WaitEntry::Verdict verdict = entry.notify_(entry, events);
    if (entry.exclusive_ && verdict != WaitEntry::Verdict::kPass) exclusive_limit--;
    if (verdict == WaitEntry::Verdict::kRemove) take_out_locked(entry);
  }
}

}  // namespace faultline
