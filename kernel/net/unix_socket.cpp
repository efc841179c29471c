// AF_UNIX sockets: how they are made and closed, and the calls that are the same for all types.
#include "kernel/net/unix_socket.h"

#include "fs/anonymous.h"
#include "kernel/net/address_family.h"
#include "kernel/net/unix_control.h"
#include "kernel/net/unix_in_flight.h"
#include "kernel/process.h"

namespace faultline {

UnixSocket::UnixSocket(Ref<Inode> inode, uint32_t flags, uint32_t protocol, Ref<UnixEndpoint> endpoint)
    : Socket(std::move(inode), flags, abi::kFamilyUnix, endpoint->type_, protocol), endpoint_(std::move(endpoint)) {
  LockGuard guard(unix_lock);
  endpoint_->file_ = this;
}

void UnixSocket::last_reference_gone() {
  const bool held_files = endpoint_->file_closed();
  destroy();
  if (held_files) UnixInFlight::suspect();
}

// The last descriptor of a socket may be closed while others lie in queues, perhaps its own.
void UnixSocket::descriptor_closed(Ref<File>& reference) {
  if (endpoint_->in_flight_.load(memory_order_acquire) == 0) return;
  Ref<UnixEndpoint> own = endpoint_;
  reference = {};
  bool is_only_in_flight;
  {
    LockGuard guard(unix_lock);
    is_only_in_flight = own->file_ && own->file_->reference_count() == own->in_flight_.load(memory_order_relaxed);
  }
  if (is_only_in_flight) UnixInFlight::suspect();
}

UnixEndpoint* unix_endpoint_of(File& file) {
  Socket* socket = file.socket();
  if (!socket || socket->family() != abi::kFamilyUnix) return nullptr;
  return &static_cast<UnixSocket*>(socket)->endpoint();
}

Result<void> UnixSocket::bind(const SocketAddress& address) { return unix_bind(*endpoint_, address, inode()->attributes().mode); }

Result<void> UnixSocket::own_address(SocketAddress& address) {
  unix_tell_address(*endpoint_, address);
  return {};
}

Result<void> UnixSocket::peer_address(SocketAddress& address) {
  Ref<UnixEndpoint> peer = unix_peer_of(*endpoint_);
  if (!peer) return Errno::kNOTCONN;
  unix_tell_address(*peer, address);
  return {};
}

// What one side no longer does, the other need not wait for.
Result<void> UnixSocket::shutdown(uint32_t how) {
  uint32_t mine = how == abi::kShutdownRead    ? UnixEndpoint::kShutReceive
                  : how == abi::kShutdownWrite ? UnixEndpoint::kShutSend
                                               : UnixEndpoint::kShutBoth;
  uint32_t theirs =
      (mine & UnixEndpoint::kShutReceive ? UnixEndpoint::kShutSend : 0) | (mine & UnixEndpoint::kShutSend ? UnixEndpoint::kShutReceive : 0);
  Ref<UnixEndpoint> peer;
  {
    LockGuard guard(unix_lock);
    endpoint_->shut_.fetch_or(mine, memory_order_acq_rel);
    if (UnixEndpoint* other = endpoint_->peer(); other && endpoint_->is_connection_based()) {
      other->shut_.fetch_or(theirs, memory_order_acq_rel);
      peer = Ref<UnixEndpoint>(*other);
    }
  }
  endpoint_->wake_all_sides();
  if (peer) peer->wake_all_sides();
  return {};
}

uint32_t UnixSocket::poll_connection(PollTable* table) {
  UnixEndpoint& own = *endpoint_;
  if (table) {
    table->register_queue(own.readable_);
    table->register_queue(own.writable_);
  }
  uint32_t events = 0;
  if (own.error_.load(memory_order_acquire) != Errno{}) events |= kPollError;
  uint32_t shut = own.shut_.load(memory_order_acquire);
  if (shut == UnixEndpoint::kShutBoth) events |= kPollHangUp;
  if (shut & UnixEndpoint::kShutReceive) events |= kPollReadHangUp | kPollIn | kPollReadNormal;
  if (own.packet_count_.load(memory_order_acquire) != 0 || own.ring_.bytes() != 0) events |= kPollIn | kPollReadNormal;
  if (own.is_connection_based() && own.state() == UnixEndpoint::State::kUnconnected) events |= kPollHangUp;
  return events;
}

Result<uint32_t> UnixSocket::ioctl(uint32_t request, uint32_t argument) {
  uint32_t answer;
  switch (request) {
    case abi::kBytesToRead:
      if (is_listening()) return Errno::kINVAL;
      answer = bytes_to_read();
      break;
    case abi::kBytesUnsent: answer = endpoint_->charge_on_its_way(); break;
    default: return Errno::kNOTTY;
  }
  TRY(user_write(UserPtr<uint32_t>(argument), answer));
  return 0u;
}

Result<abi::PeerCredentials> UnixSocket::peer_credentials() {
  LockGuard guard(unix_lock);
  return endpoint_->peer_credentials_;
}

void UnixSocket::option_changed(uint32_t name) {
  if (name == abi::kOptionPassCredentials)
    endpoint_->passes_credentials_.store(has_option(abi::kOptionPassCredentials), memory_order_release);
  if (name == abi::kOptionSendBuffer) {
    endpoint_->send_limit_.store(send_buffer(), memory_order_release);
    if (endpoint_->is_writable()) endpoint_->wake_writers();
  }
}

abi::PeerCredentials unix_caller_credentials() {
  const Process& caller = current_process();
  return {caller.pid(), caller.credentials().euid, caller.credentials().egid};
}

Result<Ref<UnixSocket>> unix_socket_create(uint32_t type, uint32_t protocol, uint32_t flags, const Credentials& who) {
  Ref<Inode> inode = TRY(anonymous_inode_create(FileType::kSocket, 0777, who));
  Ref<UnixEndpoint> endpoint = TRY(UnixEndpoint::create(type));
  auto make = type == abi::kSocketStream ? unix_stream_create : unix_packet_create;
  return make(std::move(inode), flags, protocol, std::move(endpoint));
}

namespace {

// SOCK_RAW is another name for datagrams here.
Result<uint32_t> checked_type(uint32_t type, uint32_t protocol) {
  if (protocol != 0 && protocol != abi::kFamilyUnix) return Errno::kPROTONOSUPPORT;
  if (type == abi::kSocketRaw) return uint32_t{abi::kSocketDatagram};
  bool is_known = type == abi::kSocketStream || type == abi::kSocketDatagram || type == abi::kSocketSequentialPacket;
  return is_known ? Result<uint32_t>(type) : Errno::kSOCKTNOSUPPORT;
}

Result<Ref<Socket>> create_socket(uint32_t type, uint32_t protocol, uint32_t flags, const Credentials& who) {
  type = TRY(checked_type(type, protocol));
  return Ref<Socket>(TRY(unix_socket_create(type, protocol, flags, who)));
}

Result<SocketPair> create_pair(uint32_t type, uint32_t protocol, uint32_t flags, const Credentials& who) {
  type = TRY(checked_type(type, protocol));
  Ref<UnixSocket> first = TRY(unix_socket_create(type, protocol, flags, who));
  Ref<UnixSocket> second = TRY(unix_socket_create(type, protocol, flags, who));
  {
    LockGuard guard(unix_lock);
    unix_connect_locked(first->endpoint(), second->endpoint());
    first->endpoint().peer_credentials_ = second->endpoint().peer_credentials_ = unix_caller_credentials();
  }
  return SocketPair{std::move(first), std::move(second)};
}

constexpr AddressFamily kUnixFamily = {abi::kFamilyUnix, &create_socket, &create_pair};

}  // namespace

void unix_sockets_initialize() {
  UnixInFlight::initialize();
  unix_names_initialize();
  unix_endpoints_initialize();
  address_family_register(kUnixFamily);
}

}  // namespace faultline
