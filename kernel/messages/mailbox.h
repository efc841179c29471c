// Unbuffered messages between threads: a rendezvous. A message goes from the sender's memory to the receiver's when both are there; nothing is kept
// for who is not. See README.md and Hoare 1978.
//
// Protocol. Who comes second finds the first in a Mailbox, under message_lock, and takes its record out of there: matched. A matched record stays
// where it is, on the stack of its thread, which then waits for nothing but the end of the transfer; the second moves the bytes with no lock held
// (it may fault in either's pages) and says how it ended. If the second's own memory was bad, the first begins anew, as if it had not been met.
//
// Who waits for one thread only lends it its priority (priority_lending.h); that it would wait for itself, through whatever chain, is found there.
#pragma once

#include <cstdint>

#include "kernel/priority_lending.h"
#include "lib/abi/message.h"
#include "lib/address.h"
#include "lib/atomic.h"
#include "lib/list.h"
#include "lib/lock.h"

namespace faultline {

class MessageFile;
struct SendersTag;
struct AwaitersTag;

// Guards all mailboxes, and the records in them.
extern InterruptSpinLock<LockRank::kMessages> message_lock;

// A thread's part in a message, on its stack.
struct Rendezvous : PriorityLoan {
  // Up to here a message travels in the record, as in registers: no page of the other's is looked for.
  static constexpr uint32_t kBriefBytes = 64;
  enum State : uint8_t {
    kWaiting,  // in a mailbox
    kMatched,  // the other one is at it
    kAgain,    // it was not: from the beginning
    kDone,
  };
  Rendezvous();

  Atomic<State> state{kWaiting};  // written under message_lock, but from kMatched by the other one
  Errno error{};
  uint32_t bytes = 0;  // moved
  uint8_t brief[kBriefBytes];
};
struct Sending : Rendezvous, ListNode<SendersTag> {
  VirtAddr data;
  uint32_t length = 0, flags = 0;
};
struct Receiving : Rendezvous, ListNode<AwaitersTag> {
  VirtAddr buffer;
  uint32_t capacity = 0;
  Thread* from = nullptr;  // null: anybody
  abi::MessageSender who;
};

// Each thread's.
struct Mailbox {
  List<Sending, SendersTag> senders;      // who wait for this thread to receive, oldest first
  List<Receiving, AwaitersTag> awaiting;  // who wait to receive from this thread
  Receiving* receiving = nullptr;         // it waits to receive
  MessageFile* file = nullptr;            // tells whether anybody sends to it; null: nobody has asked for one
  bool is_closed = false;                 // it is ending
};

// The ending thread can be met no more: who waits for it hears so (kSRCH).
void messages_end(Thread& self);

}  // namespace faultline
