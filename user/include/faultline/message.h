// Messages between threads: a send waits for its receive, and a receive for its send (rendezvous).
//
//   msg_send(to, data, length, flags, timeout)                 returns when the receiver has the message: how many bytes it took
//   msg_recv(from, buffer, length, &sender, flags, timeout)    from MSG_ANY: from whoever comes first; how many bytes came
//   msg_call(to, &exchange, flags, timeout)                    both in one: a client asks and waits for the answer, a server answers
//                                                              and waits for the next (exchange.from == MSG_ANY)
//   msg_fd(O_CLOEXEC or 0)                                     a descriptor that poll() and epoll find readable when somebody waits to
//                                                              send to the thread that asked for it
//
// Nothing is buffered: the bytes go once, from the sender's pages to the receiver's. `to` and `from` are the number of a thread (gettid();
// that of a process means its first thread) or the identity that msg_recv told: bit 31 is set, and no later process or thread has the same.
// A message that is longer than the buffer is cut, and the sender told by the number of bytes; msg_sender::length says how long it was.
//
// Errors, as -errno: ESRCH (no such thread, or it ended), EPERM (who may not kill() it), EDEADLK (to wait would close a circle of threads of
// which each waits for the next), ETIMEDOUT, EAGAIN (MSG_TRY), EINTR (a signal), EFAULT, EMSGSIZE (above 16 MiB), EINVAL; ENOSYS on a kernel
// that has no messages.
//
// Below are the calls as they are, in the global namespace, and wrappers in C++ that throw nothing and need no C library.
#pragma once

#include <stdint.h>

#include <type_traits>

enum : uint32_t {
  MSG_ANY = 0,   // as `from`
  MSG_TRY = 1,   // EAGAIN rather than to wait
  MSG_MOVE = 2,  // not yet (EINVAL): hand the pages of a large, page-aligned buffer over, so that the sender's are zero afterwards
};
constexpr uint32_t kMessageLongest = 16u << 20;

struct msg_sender {
  uint32_t identity;  // of the thread, for ever
  uint32_t thread, process, user;
  uint32_t length;  // of the whole message
  uint32_t flags;   // the sender's
};
static_assert(sizeof(msg_sender) == 24);

struct msg_exchange {
  const void* send;
  uint32_t send_length;
  uint32_t from;
  void* buffer;
  uint32_t length;
  struct msg_sender* sender;  // or null
};

struct msg_timeout {  // from now on; a null pointer waits for ever
  int64_t seconds, nanoseconds;
};
static_assert(sizeof(msg_timeout) == 16);

#ifdef __i386__
static_assert(sizeof(msg_exchange) == 24);

// The sixth argument goes by the stack: the compiler may need ebp to find it.
inline int32_t msg_system_call(uint32_t number, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e, uint32_t f) {
  int32_t result;
  asm volatile("pushl %[f]\n\tpush %%ebp\n\tmov 4(%%esp), %%ebp\n\tint $0x80\n\tpop %%ebp\n\tadd $4, %%esp"
               : "=a"(result)
               : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), [f] "m"(f)
               : "memory", "cc");
  return result;
}
inline uint32_t msg_word(const volatile void* pointer) { return reinterpret_cast<uint32_t>(pointer); }
#else
// Compiled for another machine, where these calls cannot be.
inline int32_t msg_system_call(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t) { return -38; }  // ENOSYS
inline uint32_t msg_word(const volatile void*) { return 0; }
#endif

inline int32_t msg_send(uint32_t to, const void* data, uint32_t length, uint32_t flags, const msg_timeout* timeout) {
  return msg_system_call(0x1000, to, msg_word(data), length, flags, msg_word(timeout), 0);
}
inline int32_t msg_recv(uint32_t from, void* buffer, uint32_t length, msg_sender* sender, uint32_t flags, const msg_timeout* timeout) {
  return msg_system_call(0x1001, from, msg_word(buffer), length, msg_word(sender), flags, msg_word(timeout));
}
inline int32_t msg_call(uint32_t to, const msg_exchange* exchange, uint32_t flags, const msg_timeout* timeout) {
  return msg_system_call(0x1002, to, msg_word(exchange), flags, msg_word(timeout), 0, 0);
}
inline int32_t msg_fd(uint32_t flags) { return msg_system_call(0x1003, flags, 0, 0, 0, 0, 0); }

namespace faultline {

// What a call gave: a number of bytes, or an errno.
class [[nodiscard]] Outcome {
 public:
  constexpr explicit Outcome(int32_t result) : result_(result) {}
  constexpr explicit operator bool() const { return result_ >= 0; }
  constexpr int error() const { return result_ < 0 ? -result_ : 0; }
  constexpr uint32_t bytes() const { return result_ < 0 ? 0 : static_cast<uint32_t>(result_); }

 private:
  int32_t result_;
};

// How a call waits: send(to, value, {.flags = MSG_TRY}).
struct Waiting {
  uint32_t flags = 0;
  const msg_timeout* timeout = nullptr;
};

constexpr msg_timeout milliseconds(int64_t count) { return {count / 1000, count % 1000 * 1000000}; }

// A message of a type: its bytes. A value of any but that length is EBADMSG (it has been taken, and is lost).
template <typename T>
concept Message = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>;

template <Message T>
constexpr Outcome whole(int32_t bytes, uint32_t length) {
  constexpr int32_t kBadMessage = 74;  // EBADMSG
  return Outcome(bytes < 0 || (bytes == sizeof(T) && length == sizeof(T)) ? bytes : -kBadMessage);
}

template <Message T>
Outcome send(uint32_t to, const T& value, Waiting how = {}) {
  return Outcome(msg_send(to, &value, sizeof value, how.flags, how.timeout));
}
template <Message T>
Outcome receive(uint32_t from, T& value, msg_sender* sender = nullptr, Waiting how = {}) {
  msg_sender whoever = {};
  msg_sender& known = sender ? *sender : whoever;
  const int32_t bytes = msg_recv(from, &value, sizeof value, &known, how.flags, how.timeout);
  return whole<T>(bytes, known.length);
}
// A client's question and its answer, from the same thread.
template <Message Question, Message Answer>
Outcome call(uint32_t to, const Question& question, Answer& answer, Waiting how = {}) {
  msg_sender sender = {};
  const msg_exchange exchange = {&question, sizeof question, to, &answer, sizeof answer, &sender};
  const int32_t bytes = msg_call(to, &exchange, how.flags, how.timeout);
  return whole<Answer>(bytes, sender.length);
}
// A server's answer to `sender`, and the next question: `sender` says whose.
template <Message Answer, Message Question>
Outcome answer_and_receive(msg_sender& sender, const Answer& answer, Question& question, Waiting how = {}) {
  const uint32_t to = sender.identity;
  const msg_exchange exchange = {&answer, sizeof answer, MSG_ANY, &question, sizeof question, &sender};
  const int32_t bytes = msg_call(to, &exchange, how.flags, how.timeout);
  return whole<Question>(bytes, sender.length);
}

}  // namespace faultline
