// TCP sockets: names, connecting, options. See tcp_socket.h; bytes are in tcp_bytes.cpp.
#include "kernel/net/internet/tcp_socket.h"

#include <algorithm>

#include "fs/anonymous.h"
#include "kernel/files/support.h"
#include "kernel/net/internet/interface_ioctl.h"
#include "kernel/time.h"

namespace faultline {

using State = TcpConnection::State;

TcpSocket::TcpSocket(Ref<Inode> inode, uint32_t flags, TcpConnection& connection)
    : Socket(std::move(inode), flags, abi::kFamilyInternet, abi::kSocketStream, abi::kProtocolTcp), connection_(connection) {}

Result<Ref<TcpSocket>> TcpSocket::create(uint32_t flags, const Credentials& who, TcpConnection* connection) {
  Result<Ref<Inode>> inode = anonymous_inode_create(FileType::kSocket, 0777, who);
  const bool is_new = !connection;
  if (inode.ok() && is_new) {
    NetworkCore core;
    connection = TcpConnection::create(nullptr);
  }
  Result<TcpSocket*> made = !inode.ok()   ? Result<TcpSocket*>(inode.error())
                            : !connection ? Result<TcpSocket*>(Errno::kNOBUFS)
                                          : slab_new<TcpSocket>(inode.release_value(), flags, *connection);
  if (made.ok()) return Ref<TcpSocket>::adopt(made.value());
  if (connection && is_new) {
    NetworkCore core;
    connection->destroy();
  }
  return made.error();
}

void TcpSocket::last_reference_gone() {
  if (linger().on) linger_before_close();
  {
    NetworkCore core;
    connection_.destroy();
  }
  slab_delete(this);
}

// SO_LINGER: a reset at once, or a limited wait for what was sent to be acknowledged.
void TcpSocket::linger_before_close() {
  const int32_t seconds = linger().seconds;
  if (seconds == 0) {
    NetworkCore core;
    return connection_.abort();
  }
  {
    NetworkCore core;
    if (connection_.state() != State::kConnected) return;
    // After the peer's end ours would be the last that is heard of the connection: it comes when all was acknowledged.
    if (connection_.has_ended_input())
      connection_.sending_shut_.store(true, memory_order_release);
    else
      ignore_result(connection_.shut_sending());
  }
  auto is_sent = [this] {
    NetworkCore core;
    return connection_.unacknowledged_bytes() == 0;
  };
  const Deadline deadline{clock_monotonic() + static_cast<uint64_t>(seconds) * kNanosecondsPerSecond};
  ignore_result(wait_on(connection_.changed_, is_sent, deadline));  // close(2) succeeds all the same
}

Result<void> TcpSocket::bind(const SocketAddress& address) {
  const InternetEndpoint wanted = TRY(internet_endpoint(address));
  NetworkCore core;
  if (connection_.state() != State::kNew) return Errno::kINVAL;
  tcp_pcb* block = TRY(connection_.block());
  if (block->local_port != 0) return Errno::kINVAL;
  if (!internet_is_own(wanted.address)) return Errno::kADDRNOTAVAIL;
  TRY(internet_result(tcp_bind(block, &wanted.address, wanted.port)));
  connection_.own_ = {block->local_ip, block->local_port};
  return {};
}

Result<void> TcpSocket::wait_until_connected(Deadline deadline) {
  Result<void> waited = wait_on(
      connection_.changed_, [this] { return connection_.state() != State::kConnecting; }, deadline);
  if (!waited.ok()) return waited.error() == Errno::kAGAIN ? Errno::kINPROGRESS : waited.error();
  if (Errno error = take_error(); error != Errno{}) return error;
  return connection_.state() == State::kConnected ? Result<void>() : Errno::kCONNABORTED;
}

Result<void> TcpSocket::connect(const SocketAddress& address, bool waits) {
  const InternetEndpoint peer = TRY(internet_endpoint(address));
  switch (connection_.state()) {
    case State::kListening: return Errno::kISCONN;
    case State::kEnded:  // perhaps before anybody was told that it had begun
      if (!untold_.exchange(false, memory_order_relaxed)) return Errno::kISCONN;
      if (Errno error = take_error(); error != Errno{}) return error;
      return Errno::kCONNABORTED;
    case State::kConnected: return untold_.exchange(false, memory_order_relaxed) ? Result<void>() : Errno::kISCONN;
    case State::kConnecting:
      if (!waits) return Errno::kALREADY;
      return wait_until_connected(send_deadline());
    case State::kNew:
      if (Errno error = take_error(); error != Errno{}) return error;  // of the last attempt
  }
  {
    NetworkCore core;
    TRY(connection_.connect(peer));
  }
  untold_.store(!waits, memory_order_relaxed);
  if (!waits) return Errno::kINPROGRESS;
  return wait_until_connected(send_deadline());
}

Result<void> TcpSocket::listen(uint32_t backlog) {
  NetworkCore core;
  if (connection_.state() != State::kNew && connection_.state() != State::kListening) return Errno::kINVAL;
  return connection_.listen(backlog);
}

Result<Ref<Socket>> TcpSocket::accept(bool waits) {
  const Deadline deadline = receive_deadline();
  for (;;) {
    if (!is_listening()) return Errno::kINVAL;
    TcpConnection* accepted;
    {
      NetworkCore core;
      accepted = connection_.accept();
    }
    // A thread that was woken stays first in the queue until it runs: who came meanwhile woke nobody else.
    if (accepted && connection_.has_pending()) connection_.changed_.wake(kPollIn | kPollReadNormal);
    if (accepted) {
      Result<Ref<TcpSocket>> made = create(0, caller_credentials(), accepted);
      if (made.ok()) return Ref<Socket>(made.release_value());
      NetworkCore core;
      connection_.put_back(*accepted);
      return made.error();
    }
    if (!waits) return Errno::kAGAIN;
    TRY(wait_on(
        connection_.changed_, [this] { return connection_.has_pending() || !is_listening(); }, deadline, true));
  }
}

Result<void> TcpSocket::own_address(SocketAddress& address) {
  NetworkCore core;
  tell_endpoint(address, connection_.own_);
  return {};
}

Result<void> TcpSocket::peer_address(SocketAddress& address) {
  NetworkCore core;
  if (connection_.state() != State::kConnected) return Errno::kNOTCONN;
  tell_endpoint(address, connection_.peer_);
  return {};
}

Result<void> TcpSocket::shutdown(uint32_t how) {
  NetworkCore core;
  const State state = connection_.state();
  if (state == State::kNew || state == State::kEnded) return Errno::kNOTCONN;
  if (state != State::kConnected) {
    connection_.disconnect();
    return {};
  }
  if (how != abi::kShutdownWrite) {
    connection_.receiving_shut_.store(true, memory_order_release);
    connection_.changed_.wake_all();
  }
  return how != abi::kShutdownRead ? connection_.shut_sending() : Result<void>();
}

uint32_t TcpSocket::poll(PollTable* table) {
  if (table) table->register_queue(connection_.changed_);
  const State state = connection_.state();
  if (state == State::kListening) return connection_.has_pending() ? kPollIn | kPollReadNormal : 0;
  const bool no_input = connection_.has_ended_input() || connection_.receiving_shut_.load(memory_order_acquire);
  const bool no_output = connection_.sending_shut_.load(memory_order_acquire);
  uint32_t events = connection_.error() != Errno{} ? kPollError : 0;
  if (state == State::kConnecting) return events;
  if ((no_input && no_output) || state == State::kNew || state == State::kEnded) events |= kPollHangUp;
  if (no_input) events |= kPollIn | kPollReadNormal | kPollReadHangUp;
  if (has_input(low_water())) events |= kPollIn | kPollReadNormal;
  if (no_output || state == State::kNew || connection_.is_writable()) events |= kPollOut | kPollWriteNormal;
  return events;
}

Result<uint32_t> TcpSocket::ioctl(uint32_t request, uint32_t argument) {
  if (request != abi::kBytesToRead && request != abi::kBytesUnsent) return interface_ioctl(request, VirtAddr(argument));
  if (is_listening()) return Errno::kINVAL;
  uint32_t bytes = connection_.received_bytes();
  if (request == abi::kBytesUnsent) {
    NetworkCore core;
    bytes = connection_.unacknowledged_bytes();
  }
  TRY(user_write(UserPtr<uint32_t>(VirtAddr(argument)), bytes));
  return 0u;
}

}  // namespace faultline
