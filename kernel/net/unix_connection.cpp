// Connections of streams and sequential packets: listen, connect, accept.
//
// connect makes the socket that accept will return and puts it into the queue of the one that listens: from then on the two ends are connected,
// and bytes may be sent before anybody accepts. The queue holds it as a message with one file.
#include "kernel/net/unix_in_flight.h"
#include "kernel/net/unix_socket.h"
#include "kernel/process.h"

namespace faultline {

Result<void> UnixSocket::name_if_credentials_pass() {
  return has_option(abi::kOptionPassCredentials) ? unix_bind_automatically(*endpoint_) : Result<void>();
}

Result<void> UnixSocket::listen(uint32_t backlog) {
  UnixEndpoint& own = *endpoint_;
  if (!own.is_connection_based()) return Errno::kOPNOTSUPP;
  {
    LockGuard guard(unix_lock);
    if (!own.name_ || own.state() == UnixEndpoint::State::kConnected) return Errno::kINVAL;
    own.backlog_.store(backlog, memory_order_release);
    own.state_.store(UnixEndpoint::State::kListening, memory_order_release);
    own.own_credentials_ = unix_caller_credentials();
  }
  own.room_.wake_all();
  return {};
}

// Under the lock, all or nothing. kCONNREFUSED, kISCONN, kINVAL.
Result<UnixSocket::Linked> UnixSocket::link_to_listener(UnixEndpoint& listener, UnixSocket& accepted, UnixMessage& connection) {
  UnixEndpoint &own = *endpoint_, &other = accepted.endpoint();
  LockGuard guard(unix_lock);
  if (listener.dead_.load(memory_order_relaxed)) return Linked::kLookAgain;
  if (listener.state() != UnixEndpoint::State::kListening || listener.is_shut(UnixEndpoint::kShutReceive)) return Errno::kCONNREFUSED;
  if (listener.has_too_many_packets()) return Linked::kWait;
  if (own.state() == UnixEndpoint::State::kConnected) return Errno::kISCONN;
  if (own.state() == UnixEndpoint::State::kListening) return Errno::kINVAL;
  unix_connect_locked(own, other);
  other.is_embryo_ = true;
  other.name_ = listener.name_;
  other.peer_credentials_ = unix_caller_credentials();
  own.peer_credentials_ = listener.own_credentials_;
  connection.acquire();
  listener.packets_.push_back(connection);
  listener.packet_count_.fetch_add(1, memory_order_acq_rel);
  UnixInFlight::enter_locked(*connection.files, listener);
  return Linked::kYes;
}

Result<void> UnixSocket::connect(const SocketAddress& address, bool waits) {
  TRY(unix_check_address(address));
  TRY(name_if_credentials_pass());
  Ref<UnixSocket> accepted = TRY(unix_socket_create(type(), protocol(), 0, current_process().credentials()));
  Ref<UnixMessage> connection = TRY(UnixMessage::create());
  connection->files = TRY(FileBundle::create(1, FileBundle::kNobody));
  connection->files->add(accepted);
  const Deadline deadline = send_deadline();
  for (;;) {
    Ref<UnixEndpoint> listener = TRY(unix_find(address, type()));
    switch (TRY(link_to_listener(*listener, *accepted, *connection))) {
      case Linked::kYes:
        listener->readable_.wake(kPollIn | kPollReadNormal);
        endpoint_->wake_writers();  // it hung up until now
        return {};
      case Linked::kLookAgain: break;
      case Linked::kWait:
        if (!waits) return Errno::kAGAIN;
        TRY(wait_on(
            listener->room_, [&] { return !listener->has_too_many_packets() || listener->is_deaf(); }, deadline));
    }
  }
}

Result<Ref<Socket>> UnixSocket::accept(bool waits) {
  UnixEndpoint& own = *endpoint_;
  if (!own.is_connection_based()) return Errno::kOPNOTSUPP;
  if (!is_listening()) return Errno::kINVAL;
  const Deadline deadline = receive_deadline();
  Ref<UnixMessage> connection;
  while (!(connection = unix_take_packet(own))) {
    if (own.is_shut(UnixEndpoint::kShutReceive) && waits) return Errno::kINVAL;
    if (!waits) return Errno::kAGAIN;
    TRY(wait_on(
        own.readable_, [&] { return own.packet_count_.load(memory_order_acquire) != 0 || own.is_shut(UnixEndpoint::kShutReceive); },
        deadline, true));
  }
  if (own.packet_count_.load(memory_order_acquire) != 0) own.readable_.wake(kPollIn | kPollReadNormal);  // for another who sleeps
  Ref<File> file(connection->files->file(0));
  auto& accepted = static_cast<UnixSocket&>(*file->socket());
  {
    LockGuard guard(unix_lock);
    accepted.endpoint().is_embryo_ = false;
  }
  return Ref<Socket>(accepted);
}

}  // namespace faultline
