// Priority inheritance: see priority_lending.h.
#include "kernel/priority_lending.h"

#include "kernel/scheduler.h"
#include "kernel/thread.h"

namespace faultline {

constinit InterruptSpinLock<LockRank::kPriorityLoans> priority_loans_lock;

namespace {

uint8_t deserved_priority(Thread& thread) REQUIRES(priority_loans_lock) {
  uint8_t priority = thread.own_priority;
  for (const PriorityLoan& loan : thread.loans)
    if (loan.lender->priority > priority) priority = loan.lender->priority;
  return priority;
}

// Who a thread waits for, or null.
Thread* waits_for(const Thread& thread) REQUIRES(priority_loans_lock) { return thread.loan ? thread.loan->borrower : nullptr; }

// `thread` has gained or lost a loan, or has another priority of its own: so may have those that it lends to.
void pass_on_locked(Thread& first) REQUIRES(priority_loans_lock) {
  Thread* thread = &first;
  for (uint32_t depth = 0; thread && depth < kLongestLoanChain; depth++) {
    uint8_t priority = deserved_priority(*thread);
    if (priority == thread->priority) return;
    scheduler_set_priority(*thread, priority);
    thread = waits_for(*thread);
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
  pass_on_locked(borrower);
  return {};
}

void priority_take_back_locked(PriorityLoan& loan) {
  Thread* borrower = loan.borrower;
  if (!borrower) return;
  loan.borrower = nullptr;
  loan.lender->loan = nullptr;
  borrower->loans.remove(loan);
  pass_on_locked(*borrower);
}

void priority_set_own(Thread& thread, uint8_t priority) {
  InterruptLockGuard guard(priority_loans_lock);
  thread.own_priority = priority;
  pass_on_locked(thread);
}

}  // namespace faultline
