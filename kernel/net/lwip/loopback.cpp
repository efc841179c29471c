// Loopback: see loopback.h.
#include "kernel/net/lwip/loopback.h"

#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip_hooks.h>

#include "kernel/net/lwip/interface.h"
#include "kernel/net/lwip/tcp_index.h"

namespace faultline {

namespace {

constexpr uint32_t kMostAtOnce = 256;

constinit NetworkInterface loopback = {};

// Packets are single pbufs here, so their links are free for the queue.
class LinkedPackets {
 public:
  bool is_empty() const { return first_ == nullptr; }
  void push(pbuf* packet) {
    (first_ ? last_->next : first_) = packet;
    last_ = packet;
  }
  pbuf* pop() {
    pbuf* packet = first_;
    first_ = packet->next;
    packet->next = nullptr;
    return packet;
  }

 private:
  pbuf *first_ = nullptr, *last_ = nullptr;
};
constinit LinkedPackets queue GUARDED_BY(network_lock);

// A copy, for lwIP changes what it sends again and what it receives. Its caller holds the lock, which lwIP's C cannot say.
err_t output(netif*, pbuf* packet, const ip4_addr_t*) NO_THREAD_SAFETY_ANALYSIS {
  pbuf* copy = pbuf_clone(PBUF_RAW, PBUF_RAM, packet);
  if (!copy) {
    loopback.sent.dropped++;
    return ERR_MEM;
  }
  loopback.sent.count(copy->tot_len);
  queue.push(copy);
  return ERR_OK;
}

err_t initialize(netif* record) {
  record->name[0] = 'l';
  record->name[1] = 'o';
  record->output = &output;
  record->mtu = 65535;
  NETIF_SET_CHECKSUM_CTRL(record, NETIF_CHECKSUM_DISABLE_ALL);
  return ERR_OK;
}

}  // namespace

void loopback_initialize() {
  loopback.name = "lo";
  ip4_addr_t address, mask, gateway;
  IP4_ADDR(&address, 127, 0, 0, 1);
  IP4_ADDR(&mask, 255, 0, 0, 0);
  ip4_addr_set_zero(&gateway);
  netif_add(&loopback, &address, &mask, &gateway, nullptr, &initialize, &ip_input);
  netif_set_link_up(&loopback);
  netif_set_up(&loopback);
}

void loopback_deliver() {
  for (uint32_t i = 0; i < kMostAtOnce; i++) {
    if (queue.is_empty()) [[likely]]
      return;
    pbuf* packet = queue.pop();
    loopback.received.count(packet->tot_len);
    ip_input(packet, &loopback);  // takes it, whatever comes of it
    tcp_index_packet_done();
  }
  network_wake();
}

bool loopback_is_pending() { return !queue.is_empty(); }

}  // namespace faultline

struct netif* lwip_port_route(const ip4_addr_t* destination) {
  for (netif* record = netif_list; record; record = record->next)
    if (netif_is_up(record) && ip4_addr_cmp(destination, netif_ip4_addr(record)) && !ip4_addr_isany_val(*destination))
      return &faultline::loopback;
  return nullptr;
}

int lwip_port_refuse(pbuf* packet, const netif* input) {
  if (input == &faultline::loopback || packet->len < sizeof(ip_hdr)) return 0;
  ip4_addr_t source;
  ip4_addr_copy(source, static_cast<const ip_hdr*>(packet->payload)->src);
  if (!ip4_addr_isloopback(&source) && !lwip_port_route(&source)) return 0;
  pbuf_free(packet);
  return 1;
}
