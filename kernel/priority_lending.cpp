// Priority inheritance: see priority_lending.h.
#include "kernel/priority_lending.h"

#include <utility>

#include "kernel/scheduler.h"
#include "kernel/thread.h"

namespace faultline {

constinit InterruptSpinLock<LockRank::kPriorityLoans> priority_loans_lock;

namespace {

// The highest that it has or is lent; none is looked for beyond `enough`.
uint8_t deserved_priority(Thread& thread, uint8_t enough) REQUIRES(priority_loans_lock) {
  uint8_t priority = thread.own_priority;
  for (const PriorityLoan& loan : thread.loans) {
    if (priority >= enough) break;
    if (loan.lender->priority > priority) priority = loan.lender->priority;
  }
  return priority;
}

// Who a thread waits for, or null.
Thread* waits_for(const Thread& thread) REQUIRES(priority_loans_lock) { return thread.loan ? thread.loan->borrower : nullptr; }

// `thread`, and who it waits for, and so on, have at least this priority from now on. All of a chain, which has an end: no loan closes a
// circle. One cut short would leave somebody urgent for whom nothing is lent any more.
void raise_locked(Thread* thread, uint8_t priority) REQUIRES(priority_loans_lock) {
  for (; thread && thread->priority < priority; thread = waits_for(*thread)) scheduler_set_priority(*thread, priority);
}

// Something that gave `thread` the priority `former` is gone. Only who had it from there alone loses it, so that a crowd's loans can go
// one by one: each is looked for once, not all of them each time.
void lower_locked(Thread* thread, uint8_t former) REQUIRES(priority_loans_lock) {
  for (; thread && thread->priority == former; thread = waits_for(*thread)) {
    uint8_t priority = deserved_priority(*thread, former);
    if (priority == former) return;
    scheduler_set_priority(*thread, priority);
  }
}

}  // namespace

Result<void> priority_lend_locked(PriorityLoan& loan, Thread& borrower) {
  uint32_t depth = 0;
  for (Thread* thread = &borrower; thread; thread = waits_for(*thread))
    if (thread == loan.lender || ++depth > kLongestLoanChain) return Errno::kDEADLK;
  loan.borrower = &borrower;
  loan.lender->loan = &loan;
  borrower.loans.push_back(loan);
  raise_locked(&borrower, loan.lender->priority);
  return {};
}

void priority_take_back_locked(PriorityLoan& loan) {
  Thread* borrower = loan.borrower;
  if (!borrower) return;
  loan.borrower = nullptr;
  loan.lender->loan = nullptr;
  borrower->loans.remove(loan);
  lower_locked(borrower, loan.lender->priority);
}

void priority_set_own(Thread& thread, uint8_t priority) {
  InterruptLockGuard guard(priority_loans_lock);
  uint8_t former = std::exchange(thread.own_priority, priority);
  raise_locked(&thread, priority);
  lower_locked(&thread, former);
}

}  // namespace faultline
