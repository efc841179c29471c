// AF_INET raw sockets, see raw(7): packets of one IP protocol, with the IP header when they are received and without it when they are sent.
#include <lwip/raw.h>

#include "fs/anonymous.h"
#include "kernel/net/internet/datagram_socket.h"

namespace faultline {

namespace {

class RawSocket final : public DatagramSocket {
 public:
  RawSocket(Ref<Inode> inode, uint32_t protocol, uint32_t flags) : DatagramSocket(std::move(inode), flags, abi::kSocketRaw, protocol) {}
  // kNOBUFS.
  Result<void> open() {
    NetworkCore core;
    block_ = raw_new_ip_type(IPADDR_TYPE_V4, static_cast<u8_t>(protocol()));
    if (!block_) return Errno::kNOBUFS;
    raw_recv(block_, &on_received, this);
    return {};
  }

 private:
  err_t bind_block(const InternetEndpoint& to) override { return raw_bind(block_, &to.address); }
  err_t connect_block(const InternetEndpoint& to) override {
    if (!ip4_addr_isany_val(to.address)) return raw_connect(block_, &to.address);
    raw_disconnect(block_);
    return ERR_OK;
  }
  err_t send_packet(pbuf* packet, const InternetEndpoint& to) override { return raw_sendto(block_, packet, &to.address); }
  InternetEndpoint own_endpoint() override { return {block_->local_ip, 0}; }
  ip_pcb& control_block() override { return *reinterpret_cast<ip_pcb*>(block_); }
  pbuf_layer layer() const override { return PBUF_IP; }

  // A copy, for the packet goes its way (an echo request is answered). lwIP holds the lock, which its C cannot say.
  static u8_t on_received(void* self, raw_pcb*, pbuf* packet, const ip_addr_t* address) NO_THREAD_SAFETY_ANALYSIS {
    pbuf* copy = pbuf_clone(PBUF_RAW, PBUF_RAM, packet);
    if (copy && !static_cast<RawSocket*>(self)->deliver(copy, {*address, 0})) pbuf_free(copy);
    return 0;
  }
  void last_reference_gone() override {
    {
      NetworkCore core;
      if (block_) raw_remove(block_);
      drop_all();
    }
    slab_delete(this);
  }

  raw_pcb* block_ GUARDED_BY(network_lock) = nullptr;
};

}  // namespace

Result<Ref<Socket>> raw_socket_create(uint32_t protocol, uint32_t flags, const Credentials& who) {
  if (!who.is_superuser()) return Errno::kPERM;
  if (protocol == 0 || protocol >= abi::kProtocolLimit) return Errno::kPROTONOSUPPORT;
  Ref<Inode> inode = TRY(anonymous_inode_create(FileType::kSocket, 0777, who));
  RawSocket* made = TRY(slab_new<RawSocket>(std::move(inode), protocol, flags));
  Ref<Socket> socket = Ref<Socket>::adopt(made);
  TRY(made->open());
  return socket;
}

}  // namespace faultline
