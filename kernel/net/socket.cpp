// What sockets of all families do alike.
#include "kernel/net/socket.h"

#include "lib/format.h"

namespace faultline {

// Sockets read as much as is there and, unlike recv, do not look for anything when asked for nothing.
Result<size_t> Socket::read(IoBuffer& buffer) {
  if (buffer.remaining() == 0) return size_t{0};
  ReceiveRequest request{buffer};
  if (may_not_wait(buffer)) request.flags = abi::kMessageDontWait;
  return receive(request);
}

Result<size_t> Socket::write(IoBuffer& buffer) {
  SendRequest request{buffer};
  if (may_not_wait(buffer)) request.flags = abi::kMessageDontWait;
  if (type_ == abi::kSocketSequentialPacket) request.flags |= abi::kMessageEndOfRecord;
  return send(request);
}

void Socket::describe(FormatSink& sink) const { format(sink, "socket:[{}]", inode_number()); }

Deadline Socket::deadline_of(const Timeout& timeout) {
  uint64_t nanoseconds = timeout.load(memory_order_relaxed);
  if (nanoseconds == Deadline::kNever) [[likely]]
    return Deadline::never();
  uint64_t now = clock_monotonic();
  return {nanoseconds < Deadline::kNever - now ? now + nanoseconds : Deadline::kNever};
}

}  // namespace faultline
