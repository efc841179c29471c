// The bytes of TCP sockets. User memory is touched without network_lock: what is sent passes through a buffer here, what was received stays
// in lwIP's buffers until it has been copied out.
#include <algorithm>

#include "fs/hooks.h"
#include "kernel/net/internet/tcp_socket.h"

namespace faultline {

using State = TcpConnection::State;

namespace {

// A request or an answer of some size passes through the stack, more through a page.
class PassingBuffer {
 public:
  static constexpr uint32_t kOnStack = 512, kInPage = 4096;
  // As many bytes as can be had for `wanted`.
  explicit PassingBuffer(size_t wanted) {
    if (wanted <= kOnStack) return;
    large_ = static_cast<uint8_t*>(slab_allocate<kInPage>());
  }
  ~PassingBuffer() {
    if (large_) slab_free<kInPage>(large_);
  }
  PassingBuffer(const PassingBuffer&) = delete;
  PassingBuffer& operator=(const PassingBuffer&) = delete;
  uint8_t* data() { return large_ ? large_ : small_; }
  uint32_t size() const { return large_ ? kInPage : kOnStack; }

 private:
  uint8_t* large_ = nullptr;
  uint8_t small_[kOnStack];
};

}  // namespace

Result<void> TcpSocket::check_sendable(bool waits, Deadline deadline) {
  if (connection_.state() == State::kConnecting) {
    if (!waits) return Errno::kAGAIN;
    TRY(wait_until_connected(deadline));
  }
  if (Errno error = take_error(); error != Errno{}) return error;
  if (connection_.state() != State::kConnected || connection_.sending_shut_.load(memory_order_acquire)) return Errno::kPIPE;
  return {};
}

Result<size_t> TcpSocket::send(SendRequest& request) {
  if (request.flags & abi::kMessageOutOfBand) return Errno::kOPNOTSUPP;
  const Deadline deadline = send_deadline();
  PassingBuffer passing(request.data.remaining());
  size_t sent = 0;
  IoBuffer before_taking = request.data;
  uint32_t from = 0, to = 0;  // what of the buffer was not sent yet
  // What was taken and not sent is the caller's again: a ring tries it once more, from there.
  auto put_back = [&] {
    if (from == to) return;
    request.data = before_taking;
    ignore_result(request.data.take(passing.data(), from));
  };
  auto result = [&](Errno error) -> Result<size_t> {
    put_back();
    if (sent == 0 && error == Errno::kPIPE && !(request.flags & abi::kMessageNoSignal)) signal_broken_pipe();
    return sent != 0 ? Result<size_t>(sent) : error;
  };
  for (;;) {
    // An error that came after some bytes were sent is for the next call.
    if (sent != 0 && (connection_.error() != Errno{} || (from == to && request.data.remaining() == 0))) return put_back(), sent;
    if (Result<void> may = check_sendable(request.waits(), deadline); !may.ok()) return result(may.error());
    if (from == to) {
      if (request.data.remaining() == 0) return sent;
      before_taking = request.data;
      Result<size_t> taken = request.data.take(passing.data(), passing.size());
      if (!taken.ok()) return result(taken.error());
      from = 0;
      to = static_cast<uint32_t>(taken.value());
    }
    Result<size_t> written = [&] {
      NetworkCore core;
      return connection_.write(passing.data() + from, to - from, request.flags & abi::kMessageMore);
    }();
    if (!written.ok()) return result(written.error());
    sent += written.value();
    from += static_cast<uint32_t>(written.value());
    if (from == to) continue;
    if (!request.waits()) {
      if (connection_.is_writable()) continue;  // if not, on_sent now tells epoll of the edge
      return result(Errno::kAGAIN);
    }
    Result<void> waited = wait_on(
        connection_.changed_, [this] { return connection_.state() != State::kConnected || connection_.is_writable(); }, deadline);
    if (!waited.ok()) return result(waited.error());
  }
}

bool TcpSocket::has_input(uint32_t wanted) const { return connection_.received_bytes() >= wanted; }

// kAGAIN, kNOTCONN, kINTR; success also when nothing will ever come.
Result<void> TcpSocket::wait_for_input(uint32_t wanted, bool waits, Deadline deadline) {
  auto is_over = [this] {
    return connection_.has_ended_input() || connection_.receiving_shut_.load(memory_order_acquire) || connection_.error() != Errno{};
  };
  if (has_input(wanted) || is_over()) return {};
  const State state = connection_.state();
  if (state == State::kNew || state == State::kListening) return Errno::kNOTCONN;
  if (!waits) return has_input(1) ? Result<void>() : Errno::kAGAIN;
  return wait_on(
      connection_.changed_, [&] { return has_input(wanted) || is_over(); }, deadline);
}

Result<size_t> TcpSocket::receive(ReceiveRequest& request) {
  if (request.flags & abi::kMessageOutOfBand) return Errno::kINVAL;
  const Deadline deadline = receive_deadline();
  const bool peeks = request.flags & abi::kMessagePeek;
  size_t received = 0;
  while (request.data.remaining() != 0) {
    const uint32_t room = static_cast<uint32_t>(std::min<size_t>(request.data.remaining(), INT32_MAX));
    const uint32_t wanted = std::min(room, request.flags & abi::kMessageWaitAll ? kMostAwaited : low_water());
    Result<void> waited = wait_for_input(wanted, request.waits(), deadline);
    LockGuard guard(connection_.read_lock_);
    const uint32_t bytes = std::min(connection_.received_bytes(), room);
    if (bytes == 0) {  // another reader was faster, or there is an end of it
      if (received != 0) break;
      if (!waited.ok()) return waited.error();
      if (Errno error = take_error(); error != Errno{}) return error;
      if (connection_.has_ended_input() || connection_.receiving_shut_.load(memory_order_acquire)) break;
      continue;
    }
    Result<size_t> copied = connection_.received_.copy(request.data, bytes);
    if (!copied.ok()) return received != 0 ? Result<size_t>(received) : copied;
    received += copied.value();
    if (peeks) break;
    NetworkCore core;
    connection_.consume(static_cast<uint32_t>(copied.value()));
    if (copied.value() < bytes || !(request.flags & abi::kMessageWaitAll) || !waited.ok()) break;
  }
  return received;
}

}  // namespace faultline
