// How two threads meet, and who moves the bytes: see mailbox.h.
#include "kernel/messages/rendezvous.h"

#include <algorithm>

#include "arch/clock.h"
#include "kernel/messages/message_file.h"
#include "kernel/pid.h"
#include "kernel/process.h"
#include "kernel/scheduler.h"
#include "lib/string.h"
#include "mm/user_memory.h"

namespace faultline {

constinit InterruptSpinLock<LockRank::kMessages> message_lock;

Rendezvous::Rendezvous() : PriorityLoan(Cause::kMessage) { lender = &running_thread(); }

namespace {

using Towards = AddressSpace::Towards;

bool is_brief(uint32_t bytes) { return bytes <= Rendezvous::kBriefBytes; }

// ---------------------------------------------------------------- finding each other

// Whom a number or an identity means. kSRCH, kPERM.
Result<Thread*> find_locked(uint32_t name) REQUIRES(process_table_lock) {
  const uint32_t number = name & abi::kMessageIdentity ? name & (kPidLimit - 1) : name;
  Thread* thread = pid_find_thread_locked(number);
  if (!thread || ((name & abi::kMessageIdentity) && thread->identity() != name)) return Errno::kSRCH;
  TRY(signal_permission(thread->process(), Signal::kNone));
  return thread;
}

// Waits for `other` alone from now on. kDEADLK.
Result<void> lend_locked(Rendezvous& own, Thread& other) REQUIRES(message_lock) {
  InterruptLockGuard guard(priority_loans_lock);
  return priority_lend_locked(own, other);
}

void take_back_locked(Rendezvous& own) REQUIRES(message_lock) {
  if (!own.borrower) return;
  InterruptLockGuard guard(priority_loans_lock);
  priority_take_back_locked(own);
}

// Out of the mailboxes, for good or to be met.
void withdraw_locked(Sending& sending) REQUIRES(message_lock) {
  sending.borrower->mailbox.senders.remove(sending);
  take_back_locked(sending);
}
void withdraw_locked(Receiving& receiving) REQUIRES(message_lock) {
  receiving.lender->mailbox.receiving = nullptr;
  if (receiving.from) receiving.from->mailbox.awaiting.remove(receiving);
  take_back_locked(receiving);
}

// The other one's part is over. It stays on its stack as long as the lock is held.
void tell_locked(Rendezvous& other, Rendezvous::State state) REQUIRES(message_lock) {
  other.state.store(state, memory_order_release);
  wake(*other.lender);
}

// How a transfer with `other` has ended, for it. True: for the caller, too.
bool conclude(Rendezvous& other, AddressSpace::CopyOutcome outcome, uint32_t bytes) {
  const bool was_ours = outcome.ours != Errno{};
  InterruptLockGuard guard(message_lock);
  other.bytes = bytes;
  other.error = outcome.theirs;
  tell_locked(other, was_ours ? Rendezvous::kAgain : Rendezvous::kDone);
  return outcome.theirs == Errno{};
}

// Sleeps until the rendezvous has taken place, or its own end.
template <typename Record>
Result<void> wait_in_mailbox(Record& own, Deadline deadline) {
  Result<void> slept;
  while (own.state.load(memory_order_acquire) == Rendezvous::kWaiting && slept.ok()) slept = block(SleepKind::kInterruptible, deadline);
  if (!slept.ok()) {
    InterruptLockGuard guard(message_lock);
    if (own.state.load(memory_order_relaxed) == Rendezvous::kWaiting) {
      withdraw_locked(own);
      return slept;
    }
  }
  while (own.state.load(memory_order_acquire) == Rendezvous::kMatched) ignore_result(block(SleepKind::kUninterruptible));  // cannot fail
  if (message_lock.is_locked()) InterruptLockGuard gone(message_lock);  // who told us has let go of the record, and of the thread
  return own.error != Errno{} ? Result<void>(own.error) : Result<void>();
}

// For who was met in vain and would begin anew, perhaps again and again: kINTR, kTIMEDOUT.
Result<void> may_begin_anew(Deadline deadline) {
  Result<void> slept = block(SleepKind::kInterruptible, Deadline{0});
  if (!slept.ok() && slept.error() == Errno::kINTR) return Errno::kINTR;
  return !deadline.is_never() && clock_monotonic() >= deadline.nanoseconds ? Result<void>(Errno::kTIMEDOUT) : Result<void>();
}

// ---------------------------------------------------------------- sending

void introduce(Receiving& to, const Sending& sending) {
  const Thread& self = *sending.lender;
  to.who = {self.identity(), self.id(), self.process().pid(), self.process().credentials().euid, sending.length, sending.flags};
}

enum class Meeting : uint8_t { kDone, kMatched, kQueued };

// Meets who waits to receive (`met`), or stands in the queue.
Result<Meeting> begin_locked(Sending& own, Thread& to, bool will_receive, Receiving*& met) REQUIRES(message_lock) {
  Mailbox& mailbox = to.mailbox;
  Receiving* receiving = mailbox.receiving;
  if (receiving && (!receiving->from || receiving->from == own.lender)) {
    withdraw_locked(*receiving);
    introduce(*receiving, own);
    receiving->bytes = std::min(own.length, receiving->capacity);
    if (!is_brief(own.length)) {
      receiving->state.store(Rendezvous::kMatched, memory_order_relaxed);
      met = receiving;
      return Meeting::kMatched;
    }
    own.bytes = receiving->bytes;
    memcpy(receiving->brief, own.brief, receiving->bytes);
    receiving->state.store(Rendezvous::kDone, memory_order_release);
    if (will_receive)
      scheduler_run_next(to);
    else
      scheduler_run_now(to);
    return Meeting::kDone;
  }
  if (mailbox.is_closed) return Errno::kSRCH;
  if (own.flags & abi::kMessageTry) return Errno::kAGAIN;
  TRY(lend_locked(own, to));
  mailbox.senders.push_back(own);
  if (mailbox.file) mailbox.file->tell_of_sender();
  return Meeting::kQueued;
}

Result<Meeting> begin(Sending& own, const SendRequest& request, Receiving*& met) {
  InterruptLockGuard table(process_table_lock);
  Thread* to = TRY(find_locked(request.to));
  InterruptLockGuard guard(message_lock);
  return begin_locked(own, *to, request.will_receive, met);
}

// ---------------------------------------------------------------- receiving

Sending* first_sender_locked(Mailbox& mailbox, const Thread* from) REQUIRES(message_lock) {
  for (Sending& sending : mailbox.senders)
    if (!from || sending.lender == from) return &sending;
  return nullptr;
}

// Meets who waits to send (`met`), or waits in its own mailbox.
Result<Meeting> begin_locked(Receiving& own, uint32_t flags, Sending*& met) REQUIRES(message_lock) {
  Thread& self = *own.lender;
  if (Sending* sending = first_sender_locked(self.mailbox, own.from)) {
    withdraw_locked(*sending);
    sending->state.store(Rendezvous::kMatched, memory_order_relaxed);
    introduce(own, *sending);
    met = sending;
    return Meeting::kMatched;
  }
  if (own.from && own.from->mailbox.is_closed) return Errno::kSRCH;
  if (flags & abi::kMessageTry) return Errno::kAGAIN;
  if (own.from) {
    TRY(lend_locked(own, *own.from));
    own.from->mailbox.awaiting.push_back(own);
  }
  self.mailbox.receiving = &own;
  return Meeting::kQueued;
}

Result<Meeting> begin(Receiving& own, const ReceiveRequest& request, Sending*& met) {
  if (request.from == abi::kMessageAny) {
    InterruptLockGuard guard(message_lock);
    return begin_locked(own, request.flags, met);
  }
  InterruptLockGuard table(process_table_lock);
  own.from = TRY(find_locked(request.from));
  InterruptLockGuard guard(message_lock);
  return begin_locked(own, request.flags, met);
}

AddressSpace::CopyOutcome take_from(Sending& sending, const Receiving& own, uint32_t bytes) {
  if (!is_brief(sending.length)) return sending.lender->process().space().copy_foreign(sending.data, own.buffer, bytes, Towards::kUs);
  return {.ours = user_copy_out(own.buffer, sending.brief, bytes) == 0 ? Errno{} : Errno::kFAULT};
}

}  // namespace

Result<uint32_t> message_send(const SendRequest& request, Deadline deadline) {
  for (;;) {
    Sending own;
    own.data = request.data;
    own.length = request.length;
    own.flags = request.flags;
    if (is_brief(own.length) && user_copy_in(own.brief, own.data, own.length) != 0) return Errno::kFAULT;
    Receiving* met = nullptr;
    switch (TRY(begin(own, request, met))) {
      case Meeting::kDone: return own.bytes;
      case Meeting::kMatched: {
        const uint32_t bytes = met->bytes;
        AddressSpace& theirs = met->lender->process().space();
        const AddressSpace::CopyOutcome outcome = theirs.copy_foreign(met->buffer, own.data, bytes, Towards::kThem);
        const bool is_delivered = conclude(*met, outcome, bytes);
        if (outcome.ours != Errno{}) return outcome.ours;
        if (is_delivered) return bytes;
        break;
      }
      case Meeting::kQueued:
        TRY(wait_in_mailbox(own, deadline));
        if (own.state.load(memory_order_relaxed) == Rendezvous::kDone) return own.bytes;
        break;
    }
    TRY(may_begin_anew(deadline));
  }
}

Result<uint32_t> message_receive(const ReceiveRequest& request, Deadline deadline, abi::MessageSender& who) {
  for (;;) {
    Receiving own;
    own.buffer = request.buffer;
    own.capacity = request.capacity;
    Sending* met = nullptr;
    const Meeting meeting = TRY(begin(own, request, met));
    if (meeting == Meeting::kMatched) {
      scheduler_keep_running();
      const uint32_t bytes = std::min(met->length, own.capacity);
      const AddressSpace::CopyOutcome outcome = take_from(*met, own, bytes);
      const bool is_delivered = conclude(*met, outcome, bytes);
      if (outcome.ours != Errno{}) return outcome.ours;
      if (is_delivered) {
        who = own.who;
        return bytes;
      }
      TRY(may_begin_anew(deadline));
      continue;
    }
    TRY(wait_in_mailbox(own, deadline));
    if (own.state.load(memory_order_relaxed) == Rendezvous::kAgain) {
      TRY(may_begin_anew(deadline));
      continue;
    }
    if (is_brief(own.who.length) && user_copy_out(own.buffer, own.brief, own.bytes) != 0) return Errno::kFAULT;
    who = own.who;
    return own.bytes;
  }
}

void messages_end(Thread& self) {
  Mailbox& mailbox = self.mailbox;
  InterruptLockGuard guard(message_lock);
  mailbox.is_closed = true;
  while (Sending* sending = mailbox.senders.front()) {
    withdraw_locked(*sending);
    sending->error = Errno::kSRCH;
    tell_locked(*sending, Rendezvous::kDone);
  }
  while (Receiving* receiving = mailbox.awaiting.front()) {
    withdraw_locked(*receiving);
    receiving->error = Errno::kSRCH;
    tell_locked(*receiving, Rendezvous::kDone);
  }
  if (mailbox.file) mailbox.file->leave_thread();
}

}  // namespace faultline
