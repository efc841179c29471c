// Message passing between threads: the layouts and numbers of Faultline's own calls msg_send, msg_recv, msg_call and msg_fd
// (user/include/faultline/message.h is the programs' side).
#pragma once

#include <cstdint>

namespace faultline::abi {

inline constexpr uint32_t kMessageAny = 0;                 // msg_recv: from whoever sends
inline constexpr uint32_t kMessageIdentity = 0x80000000u;  // a thread's identity, not just its number
inline constexpr uint32_t kMessageTry = 1;                 // do not wait; 2 is set aside for handing pages over (kINVAL so far)
inline constexpr uint32_t kMessageLongest = 16u << 20;     // bytes

// Who sent.
struct MessageSender {
  uint32_t identity;         // kMessageIdentity and bits that no later number will have. As the number, it stays at execve with who goes on
  uint32_t thread, process;  // numbers, when it was sent
  uint32_t user;             // effective
  uint32_t length;           // of the whole message: larger than the buffer if it was cut
  uint32_t flags;            // the sender's
};
static_assert(sizeof(MessageSender) == 24);

// msg_call: what is sent, and what is received then.
struct MessageExchange {
  uint32_t data, length;
  uint32_t from;
  uint32_t buffer, capacity;
  uint32_t sender;  // where a MessageSender is written, or 0
};
static_assert(sizeof(MessageExchange) == 24);

}  // namespace faultline::abi
