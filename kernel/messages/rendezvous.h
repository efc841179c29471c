// Sending and receiving, below the system calls: see mailbox.h.
#pragma once

#include "kernel/messages/mailbox.h"
#include "lib/result.h"
#include "lib/scheduling.h"

namespace faultline {

// What one thread wants of another, as the calls say it.
struct SendRequest {
  uint32_t to;  // a number, or an identity
  VirtAddr data;
  uint32_t length, flags;
  // Whether the caller receives next: then whom it wakes runs in its place.
  bool will_receive = false;
};
struct ReceiveRequest {
  uint32_t from;  // a number, an identity, or kMessageAny
  VirtAddr buffer;
  uint32_t capacity, flags;
};

// Both sleep until the other one is there, and return how many bytes went from memory to memory. kSRCH: there is no such thread (any more); kPERM;
// kDEADLK: it waits for the caller; kAGAIN: it does not wait, and flags say not to wait either; kTIMEDOUT; kINTR; kFAULT: the caller's memory.
Result<uint32_t> message_send(const SendRequest& request, Deadline deadline);
Result<uint32_t> message_receive(const ReceiveRequest& request, Deadline deadline, abi::MessageSender& who);

}  // namespace faultline
