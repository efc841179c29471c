// Priority inheritance: who waits for something that another thread has lends it its priority meanwhile, and so on along the chain of
// who waits for whom. See Sha, Rajkumar, Lehoczky 1990. Real-time priorities are lent; fair threads have nothing to lend, but their
// waiting counts in the search for cycles.
#pragma once

#include <cstdint>

#include "lib/annotations.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/result.h"

namespace faultline {

class Thread;
struct PriorityLoanTag;

// Guards every loan, and own_priority, loans, loan and no_more_loans of every thread.
extern InterruptSpinLock<LockRank::kPriorityLoans> priority_loans_lock;

// One thread's waiting. It lives as long as the wait, usually on the lender's stack.
struct PriorityLoan : ListNode<PriorityLoanTag> {
  enum class Cause : uint8_t { kFutex, kMessage };
  explicit PriorityLoan(Cause why) : cause(why) {}
  const Cause cause;
  Thread* lender = nullptr;
  Thread* borrower = nullptr;  // who has what the lender wants; null: no loan
};

inline constexpr uint32_t kLongestLoanChain = 1024;

// kDEADLK: `borrower` waits, perhaps through others, for the lender; or the chain is longer than kLongestLoanChain.
Result<void> priority_lend_locked(PriorityLoan& loan, Thread& borrower) REQUIRES(priority_loans_lock);
// No-op for one that is not lent.
void priority_take_back_locked(PriorityLoan& loan) REQUIRES(priority_loans_lock);
// Sets the priority of its own: 0 for a fair thread.
void priority_set_own(Thread& thread, uint8_t priority);

}  // namespace faultline
