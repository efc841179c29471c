// Calls that move bytes: send and recv in all their forms.
#include "kernel/files/user_pieces.h"
#include "kernel/net/call_support.h"
#include "kernel/net/calls.h"
#include "kernel/net/control_message.h"

namespace faultline {

namespace {

constexpr uint32_t kControlLimit = 20480;  // net.core.optmem_max
constexpr uint32_t kControlOnStack = 64;

uint32_t request_flags(Socket& socket, uint32_t flags) { return flags | (socket.is_non_blocking() ? abi::kMessageDontWait : 0); }

// A msghdr with what it points at: the pieces are read, the other parts are checked.
class UserMessage {
 public:
  Result<void> read(UserPtr<abi::MessageHeader> source) {
    header_ = TRY(user_read(source));
    if (header_.name == 0) header_.name_bytes = 0;
    if (header_.name_bytes < 0) return Errno::kINVAL;
    if (header_.name_bytes > static_cast<int32_t>(abi::kAddressLimit)) header_.name_bytes = abi::kAddressLimit;
    if (header_.piece_count > UserPieces::kMaximum) return Errno::kMSGSIZE;
    return pieces_.read(UserPtr<const IoPiece>(header_.pieces), header_.piece_count);
  }
  IoBuffer buffer() const { return pieces_.buffer(); }
  const abi::MessageHeader& header() const { return header_; }

 private:
  abi::MessageHeader header_;
  UserPieces pieces_;
};

// The ancillary data that a caller sends, in kernel memory.
class UserControl {
 public:
  Result<void> read(uint32_t address, uint32_t bytes) {
    if (bytes > kControlLimit) return Errno::kNOBUFS;
    uint8_t* place = on_stack_;
    if (bytes > kControlOnStack) {
      memory_ = TRY(Buffer<uint8_t>::create(bytes));
      place = memory_.data();
    }
    bytes_ = {place, bytes};
    return user_read_bytes(place, VirtAddr(address), bytes);
  }
  std::span<const uint8_t> bytes() const { return bytes_; }

 private:
  alignas(4) uint8_t on_stack_[kControlOnStack];
  Buffer<uint8_t> memory_;
  std::span<const uint8_t> bytes_;
};

Result<uint32_t> send_message(Socket& socket, UserPtr<abi::MessageHeader> user, uint32_t flags) {
  UserMessage message;
  TRY(message.read(user));
  const abi::MessageHeader& header = message.header();
  SocketAddress address;
  TRY(read_address(address, VirtAddr(header.name), header.name_bytes));
  UserControl control;
  TRY(control.read(header.control, header.control_bytes));
  IoBuffer data = message.buffer();
  SendRequest request{data, request_flags(socket, flags), header.name_bytes != 0 ? &address : nullptr, control.bytes()};
  return static_cast<uint32_t>(TRY(socket.send(request)));
}

Result<uint32_t> receive_message(Socket& socket, UserPtr<abi::MessageHeader> user, uint32_t flags) {
  UserMessage message;
  TRY(message.read(user));
  const abi::MessageHeader& header = message.header();
  SocketAddress address;
  ControlWriter control(VirtAddr(header.control), header.control_bytes);
  IoBuffer data = message.buffer();
  ReceiveRequest request{data, request_flags(socket, flags), header.name != 0 ? &address : nullptr,
                         header.control != 0 ? &control : nullptr, flags & abi::kMessageControlCloseOnExec};
  size_t bytes = TRY(socket.receive(request));
  auto place = [user](size_t offset) { return UserPtr<uint32_t>(user.address() + static_cast<uint32_t>(offset)); };
  if (header.name != 0) TRY(write_address(address, VirtAddr(header.name), place(offsetof(abi::MessageHeader, name_bytes)).as<int32_t>()));
  TRY(user_write(place(offsetof(abi::MessageHeader, flags)), request.told_flags));
  TRY(user_write(place(offsetof(abi::MessageHeader, control_bytes)), control.written()));
  return static_cast<uint32_t>(bytes);
}

// Does `step(message, flags)` for up to `count` messages. What fails later than the first is only a smaller number.
template <typename Step>
Result<uint32_t> for_each_message(UserPtr<abi::MultipleMessageHeader> messages, uint32_t count, Step step) {
  if (count > UserPieces::kMaximum) count = UserPieces::kMaximum;
  uint32_t done = 0;
  for (bool goes_on = true; done < count && goes_on; done++) {
    VirtAddr place = messages.at(done).address();
    Result<uint32_t> moved = step(UserPtr<abi::MessageHeader>(place), goes_on);
    Result<void> told = moved.ok() ? user_write(UserPtr<uint32_t>(place + offsetof(abi::MultipleMessageHeader, bytes)), moved.value())
                                   : Result<void>(moved.error());
    if (!told.ok()) return done != 0 ? Result<uint32_t>(done) : told.error();
  }
  return done;
}

// The time limit is looked at after each message, not while waiting for one: recvmmsg(2), "Bugs".
Result<uint32_t> receive_multiple(int32_t descriptor, UserPtr<abi::MultipleMessageHeader> messages, uint32_t count, uint32_t flags,
                                  Deadline deadline) {
  SocketHandle socket = TRY(socket_at(descriptor));
  return for_each_message(messages, count, [&](UserPtr<abi::MessageHeader> message, bool& goes_on) -> Result<uint32_t> {
    uint32_t bytes = TRY(receive_message(*socket, message, flags & ~abi::kMessageWaitForOne));
    if (flags & abi::kMessageWaitForOne) flags |= abi::kMessageDontWait;
    if (!deadline.is_never() && clock_monotonic() >= deadline.nanoseconds) goes_on = false;
    return bytes;
  });
}

template <typename Time>
Result<uint32_t> receive_multiple_timed(int32_t descriptor, UserPtr<abi::MultipleMessageHeader> messages, uint32_t count, uint32_t flags,
                                        UserPtr<Time> user_time) {
  if (user_time.is_null()) return receive_multiple(descriptor, messages, count, flags, Deadline::never());
  Time time = TRY(user_read(user_time));
  if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds > 999'999'999) return Errno::kINVAL;
  constexpr int64_t kLongest = 1'000'000'000;
  int64_t seconds = time.seconds < kLongest ? time.seconds : kLongest;
  Deadline deadline = deadline_after(static_cast<uint64_t>(seconds) * 1'000'000'000 + static_cast<uint64_t>(time.nanoseconds));
  uint32_t done = TRY(receive_multiple(descriptor, messages, count, flags, deadline));
  uint64_t now = clock_monotonic(), left = now < deadline.nanoseconds ? deadline.nanoseconds - now : 0;
  time.seconds = static_cast<decltype(time.seconds)>(left / 1'000'000'000);
  time.nanoseconds = static_cast<decltype(time.nanoseconds)>(left % 1'000'000'000);
  TRY(user_write(user_time, time));
  return done;
}

}  // namespace

Result<uint32_t> sys_sendto(int32_t descriptor, VirtAddr data, uint32_t bytes, uint32_t flags, VirtAddr user_address,
                            int32_t address_bytes) {
  SocketHandle socket = TRY(socket_at(descriptor));
  IoBuffer buffer = user_buffer(data, bytes);
  SendRequest request{buffer, request_flags(*socket, flags)};
  if (user_address.value() == 0) return static_cast<uint32_t>(TRY(socket->send(request)));
  SocketAddress address;
  TRY(read_address(address, user_address, address_bytes));
  request.to = address.bytes != 0 ? &address : nullptr;
  return static_cast<uint32_t>(TRY(socket->send(request)));
}

Result<uint32_t> sys_recvfrom(int32_t descriptor, VirtAddr data, uint32_t bytes, uint32_t flags, VirtAddr user_address,
                              UserPtr<int32_t> address_bytes) {
  SocketHandle socket = TRY(socket_at(descriptor));
  IoBuffer buffer = user_buffer(data, bytes);
  ReceiveRequest request{buffer, request_flags(*socket, flags)};
  if (user_address.value() == 0) return static_cast<uint32_t>(TRY(socket->receive(request)));
  SocketAddress address;
  request.from = &address;
  size_t received = TRY(socket->receive(request));
  TRY(write_address(address, user_address, address_bytes));
  return static_cast<uint32_t>(received);
}

Result<uint32_t> sys_sendmsg(int32_t descriptor, UserPtr<abi::MessageHeader> message, uint32_t flags) {
  SocketHandle socket = TRY(socket_at(descriptor));
  return send_message(*socket, message, flags);
}

Result<uint32_t> sys_recvmsg(int32_t descriptor, UserPtr<abi::MessageHeader> message, uint32_t flags) {
  SocketHandle socket = TRY(socket_at(descriptor));
  return receive_message(*socket, message, flags);
}

Result<uint32_t> sys_sendmmsg(int32_t descriptor, UserPtr<abi::MultipleMessageHeader> messages, uint32_t count, uint32_t flags) {
  SocketHandle socket = TRY(socket_at(descriptor));
  return for_each_message(messages, count,
                          [&](UserPtr<abi::MessageHeader> message, bool&) { return send_message(*socket, message, flags); });
}

Result<uint32_t> sys_recvmmsg(int32_t descriptor, UserPtr<abi::MultipleMessageHeader> messages, uint32_t count, uint32_t flags,
                              UserPtr<Timespec32> time) {
  return receive_multiple_timed(descriptor, messages, count, flags, time);
}
Result<uint32_t> sys_recvmmsg_time64(int32_t descriptor, UserPtr<abi::MultipleMessageHeader> messages, uint32_t count, uint32_t flags,
                                     UserPtr<Timespec64> time) {
  return receive_multiple_timed(descriptor, messages, count, flags, time);
}

}  // namespace faultline
