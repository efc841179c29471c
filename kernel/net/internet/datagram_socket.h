// AF_INET sockets of whole packets: what udp(7) and raw(7) have in common. A packet that was received waits in a queue with its sender's name.
#pragma once

#include <lwip/ip.h>
#include <lwip/pbuf.h>

#include "kernel/net/internet/address.h"
#include "kernel/net/lwip/core.h"
#include "kernel/net/socket.h"
#include "lib/list.h"
#include "lib/mutex.h"
#include "lib/wait_queue.h"

namespace faultline {

struct ReceivedPacket;

class DatagramSocket : public Socket {
 public:
  Result<void> bind(const SocketAddress& address) override;
  Result<void> connect(const SocketAddress& address, bool waits) override;
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
  DatagramSocket(Ref<Inode> inode, uint32_t flags, uint32_t type, uint32_t protocol)
      : Socket(std::move(inode), flags, abi::kFamilyInternet, type, protocol) {}
  ~DatagramSocket() = default;

  // lwIP's control block, by kind of socket: what bind, connect (port 0 and no address: undone) and send do to it.
  virtual err_t bind_block(const InternetEndpoint& to) REQUIRES(network_lock) = 0;
  virtual err_t connect_block(const InternetEndpoint& to) REQUIRES(network_lock) = 0;
  virtual err_t send_packet(pbuf* packet, const InternetEndpoint& to) REQUIRES(network_lock) = 0;
  virtual InternetEndpoint own_endpoint() REQUIRES(network_lock) = 0;
  virtual ip_pcb& control_block() REQUIRES(network_lock) = 0;
  virtual pbuf_layer layer() const = 0;

  Errno take_error() override { return Errno{}; }
  void option_changed(uint32_t name) override;

  // Queues what arrived, unless SO_RCVBUF is full. False: the packet is still the caller's.
  bool deliver(pbuf* packet, const InternetEndpoint& from) REQUIRES(network_lock);
  void drop_all() REQUIRES(network_lock);

 private:
  void drop_first() REQUIRES(network_lock);
  Result<void> wait_for_packet(bool waits, Deadline deadline);

  Mutex<LockRank::kPipe> read_lock_;  // only who holds it takes packets off the queue
  List<ReceivedPacket> packets_ GUARDED_BY(network_lock);
  Atomic<uint32_t> count_{0}, bytes_{0};
  Atomic<uint32_t> shut_{0};  // bits: 1 << kShutdownRead, 1 << kShutdownWrite
  InternetEndpoint peer_ GUARDED_BY(network_lock);
  bool is_connected_ GUARDED_BY(network_lock) = false;
  WaitQueue changed_;
};

Result<Ref<Socket>> udp_socket_create(uint32_t flags, const Credentials& who);
// kPERM, kNOMEM, kNOBUFS.
Result<Ref<Socket>> raw_socket_create(uint32_t protocol, uint32_t flags, const Credentials& who);

}  // namespace faultline
