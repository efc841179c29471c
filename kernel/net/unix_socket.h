// AF_UNIX sockets, see unix(7): what all types share. Streams are in unix_stream.cpp, datagrams and sequential packets in unix_packet.cpp.
#pragma once

#include "kernel/net/socket.h"
#include "kernel/net/unix_endpoint.h"

namespace faultline {

class UnixSocket : public Socket {
 public:
  UnixSocket(Ref<Inode> inode, uint32_t flags, uint32_t protocol, Ref<UnixEndpoint> endpoint);

  UnixEndpoint& endpoint() const { return *endpoint_; }
  Result<void> bind(const SocketAddress& address) override;
  Result<void> own_address(SocketAddress& address) override;
  Result<void> peer_address(SocketAddress& address) override;
  Result<void> shutdown(uint32_t how) override;
  Result<uint32_t> ioctl(uint32_t request, uint32_t argument) override;
  void descriptor_closed(Ref<File>& reference) override;

  // The part of connect, listen and accept that streams and sequential packets share: unix_connection.cpp.
  Result<void> connect(const SocketAddress& address, bool waits) override;
  Result<void> listen(uint32_t backlog) override;
  Result<Ref<Socket>> accept(bool waits) override;

 protected:
  Errno take_error() override { return endpoint_->take_error(); }
  bool is_listening() override { return endpoint_->state() == UnixEndpoint::State::kListening; }
  Result<abi::PeerCredentials> peer_credentials() override;
  void option_changed(uint32_t name) override;
  virtual uint32_t bytes_to_read() = 0;
  // The parts of poll that all types have in common.
  uint32_t poll_connection(PollTable* table);
  // The caller's own name is made if its credentials are to be told.
  Result<void> name_if_credentials_pass();

 private:
  enum class Linked : uint8_t { kYes, kLookAgain, kWait };
  Result<Linked> link_to_listener(UnixEndpoint& listener, UnixSocket& accepted, UnixMessage& connection);
  void last_reference_gone() override;
  virtual void destroy() = 0;
  Ref<UnixEndpoint> endpoint_;
};

// A new one with nothing open yet. kSOCKTNOSUPPORT, kNOMEM.
Result<Ref<UnixSocket>> unix_socket_create(uint32_t type, uint32_t protocol, uint32_t flags, const Credentials& who);
// Its parts by type.
Result<Ref<UnixSocket>> unix_stream_create(Ref<Inode> inode, uint32_t flags, uint32_t protocol, Ref<UnixEndpoint> endpoint);
Result<Ref<UnixSocket>> unix_packet_create(Ref<Inode> inode, uint32_t flags, uint32_t protocol, Ref<UnixEndpoint> endpoint);

// The endpoint of an open file, or null if it is no AF_UNIX socket.
UnixEndpoint* unix_endpoint_of(File& file);
// The address of a socket, as those who ask for it see it: only the family if it has none.
void unix_tell_address(UnixEndpoint& endpoint, SocketAddress& address);
// The same as recvfrom tells it: nothing if it has none.
void unix_tell_sender(UnixEndpoint& sender, SocketAddress& address);
abi::PeerCredentials unix_caller_credentials();  // as SO_PEERCRED tells them

void unix_sockets_initialize();  // boot

}  // namespace faultline
