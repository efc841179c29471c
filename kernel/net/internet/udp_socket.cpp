// AF_INET datagram sockets, see udp(7).
#include <lwip/udp.h>
#include <lwip_hooks.h>

#include "fs/anonymous.h"
#include "kernel/net/internet/datagram_socket.h"

namespace faultline {

namespace {

class UdpSocket final : public DatagramSocket {
 public:
  UdpSocket(Ref<Inode> inode, uint32_t flags) : DatagramSocket(std::move(inode), flags, abi::kSocketDatagram, abi::kProtocolUdp) {}
  // kNOBUFS.
  Result<void> open() {
    NetworkCore core;
    block_ = udp_new_ip_type(IPADDR_TYPE_V4);
    if (!block_) return Errno::kNOBUFS;
    udp_recv(block_, &on_received, this);
    return {};
  }

 private:
  err_t bind_block(const InternetEndpoint& to) override { return udp_bind(block_, &to.address, to.port); }
  err_t connect_block(const InternetEndpoint& to) override {
    if (to.port != 0) return udp_connect(block_, &to.address, to.port);
    udp_disconnect(block_);
    return ERR_OK;
  }
  // To one of our own addresses it goes by loopback, and comes from that same address, as on Linux: only then does its answer fit.
  err_t send_packet(pbuf* packet, const InternetEndpoint& to) override {
    netif* way = lwip_port_route(&to.address);
    if (!way) return udp_sendto(block_, packet, &to.address, to.port);
    const ip4_addr_t& from = ip4_addr_isany_val(block_->local_ip) ? to.address : block_->local_ip;
    return udp_sendto_if_src(block_, packet, &to.address, to.port, way, &from);
  }
  InternetEndpoint own_endpoint() override { return {block_->local_ip, block_->local_port}; }
  ip_pcb& control_block() override { return *reinterpret_cast<ip_pcb*>(block_); }
  pbuf_layer layer() const override { return PBUF_TRANSPORT; }

  // lwIP holds the lock, which its C cannot say.
  static void on_received(void* self, udp_pcb*, pbuf* packet, const ip_addr_t* address, u16_t port) NO_THREAD_SAFETY_ANALYSIS {
    if (!static_cast<UdpSocket*>(self)->deliver(packet, {*address, port})) pbuf_free(packet);
  }
  void last_reference_gone() override {
    {
      NetworkCore core;
      if (block_) udp_remove(block_);
      drop_all();
    }
    slab_delete(this);
  }

  udp_pcb* block_ GUARDED_BY(network_lock) = nullptr;
};

}  // namespace

Result<Ref<Socket>> udp_socket_create(uint32_t flags, const Credentials& who) {
  Ref<Inode> inode = TRY(anonymous_inode_create(FileType::kSocket, 0777, who));
  UdpSocket* made = TRY(slab_new<UdpSocket>(std::move(inode), flags));
  Ref<Socket> socket = Ref<Socket>::adopt(made);
  TRY(made->open());
  return socket;
}

}  // namespace faultline
