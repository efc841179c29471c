// AF_INET stream sockets, see tcp(7): the open file over a TcpConnection.
#pragma once

#include "kernel/net/internet/tcp_connection.h"
#include "kernel/net/socket.h"

namespace faultline {

class TcpSocket final : public Socket {
 public:
  // Takes over `connection`, unless it fails; null: a new one. kNOMEM, kNOBUFS.
  static Result<Ref<TcpSocket>> create(uint32_t flags, const Credentials& who, TcpConnection* connection);

  Result<void> bind(const SocketAddress& address) override;
  Result<void> connect(const SocketAddress& address, bool waits) override;
  Result<void> listen(uint32_t backlog) override;
  Result<Ref<Socket>> accept(bool waits) override;
  Result<void> own_address(SocketAddress& address) override;
  Result<void> peer_address(SocketAddress& address) override;
  Result<void> shutdown(uint32_t how) override;
  Result<size_t> send(SendRequest& request) override;
  Result<size_t> receive(ReceiveRequest& request) override;
  uint32_t poll(PollTable* table) override;
  Result<uint32_t> ioctl(uint32_t request, uint32_t argument) override;
  Result<void> set_option(uint32_t level, uint32_t name, UserPtr<const void> value, uint32_t bytes) override;
  Result<uint32_t> get_option(uint32_t level, uint32_t name, UserPtr<void> value, uint32_t room) override;

 protected:
  Errno take_error() override { return connection_.take_error(); }
  bool is_listening() override { return connection_.state() == TcpConnection::State::kListening; }
  void option_changed(uint32_t name) override;

 private:
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  TcpSocket(Ref<Inode> inode, uint32_t flags, TcpConnection& connection);
  ~TcpSocket() = default;
  void last_reference_gone() override;
  void linger_before_close();

  Result<void> wait_until_connected(Deadline deadline);
  Result<void> check_sendable(bool waits, Deadline deadline);
  Result<void> wait_for_input(uint32_t wanted, bool waits, Deadline deadline);
  bool has_input(uint32_t wanted) const;
  // How many bytes are worth waiting for. None are consumed meanwhile, so it must be less than the smallest window, which has no scale.
  static constexpr uint32_t kMostAwaited = 0xffff / 2;
  uint32_t low_water() const { return receive_low_water() < kMostAwaited ? receive_low_water() : kMostAwaited; }

  Atomic<bool> untold_{false};  // that a connect which did not wait has succeeded: the next one says so
  TcpConnection& connection_;   // until last_reference_gone()
};

}  // namespace faultline
