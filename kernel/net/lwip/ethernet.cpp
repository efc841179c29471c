// eth0, and the way of a frame: card -> interrupt -> network_wake() -> the thread "net" -> ethernet_receive() -> take() -> lwIP -> a
// socket's callback. See ethernet.h.
#include "kernel/net/lwip/ethernet.h"

#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/netif.h>
#include <netif/ethernet.h>

#include <array>

#include "kernel/net/lwip/interface.h"
#include "kernel/net/lwip/timers.h"
#include "kernel/net/lwip/tcp_index.h"
#include "lib/log.h"
#include "lib/string.h"

namespace faultline {

namespace {

constinit NetworkInterface ethernet = {};
constinit NetworkDevice* card = nullptr;  // set once, at boot

class Input final : public FrameReceiver {
 public:
  // The frame goes into a buffer of just its size: what a socket keeps is no more than was sent to it. A short one is padded, as a wire does:
  // lwIP reads all of an ARP packet without asking how long it is.
  void take(std::span<const uint8_t> frame) override {
    constexpr size_t kLeastFrame = 60;
    const size_t bytes = frame.size() < kLeastFrame ? kLeastFrame : frame.size();
    pbuf* packet = frame.size() < kEthernetHeader ? nullptr : pbuf_alloc(PBUF_RAW, static_cast<u16_t>(bytes), PBUF_RAM);
    if (!packet) {
      ethernet.received.dropped++;
      return;
    }
    memcpy(packet->payload, frame.data(), frame.size());
    memset(static_cast<uint8_t*>(packet->payload) + frame.size(), 0, bytes - frame.size());
    ethernet.received.count(static_cast<uint32_t>(frame.size()));
    if (ethernet.input(packet, &ethernet) != ERR_OK) pbuf_free(packet);
    tcp_index_packet_done();
  }
};

err_t send_whole(pbuf* packet) {
  constexpr size_t kMostPieces = 16;
  std::array<std::span<const uint8_t>, kMostPieces> pieces;
  size_t count = 0;
  for (pbuf* piece = packet; piece; piece = piece->next) {
    if (count == kMostPieces) return ERR_BUF;
    pieces.data()[count++] = {static_cast<const uint8_t*>(piece->payload), piece->len};
  }
  return card->transmit(std::span(pieces).first(count)) ? ERR_OK : ERR_MEM;
}

// In as many pieces as it has, or, if those are too many, as one.
err_t send_flat(pbuf* packet) {
  err_t result = send_whole(packet);
  if (result != ERR_BUF) return result;
  pbuf* flat = pbuf_clone(PBUF_RAW, PBUF_RAM, packet);
  if (!flat) return ERR_MEM;
  result = send_whole(flat);
  pbuf_free(flat);
  return result;
}

// What could not be sent, TCP sends again.
err_t output(netif*, pbuf* packet) {
  const err_t result = send_flat(packet);
  if (result == ERR_OK)
    ethernet.sent.count(packet->tot_len);
  else
    ethernet.sent.dropped++;
  return result;
}

void tell_address(netif* record) {
  if (ip4_addr_isany_val(*netif_ip4_addr(record))) return;
  const uint8_t* a = reinterpret_cast<const uint8_t*>(netif_ip4_addr(record));
  const uint8_t* g = reinterpret_cast<const uint8_t*>(netif_ip4_gw(record));
  log(LogLevel::kInfo, "eth0: address {}.{}.{}.{}, gateway {}.{}.{}.{}", a[0], a[1], a[2], a[3], g[0], g[1], g[2], g[3]);
}

err_t initialize(netif* record) {
  record->name[0] = 'e';
  record->name[1] = 't';
  record->output = &etharp_output;
  record->linkoutput = &output;
  record->mtu = kEthernetMtu;
  record->hostname = "faultline";
  const MacAddress address = card->address();
  record->hwaddr_len = ETH_HWADDR_LEN;
  memcpy(record->hwaddr, address.data(), ETH_HWADDR_LEN);
  record->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
  netif_set_status_callback(record, &tell_address);
  return ERR_OK;
}

void follow_link() {
  const bool up = card->link_is_up();
  if (up == static_cast<bool>(netif_is_link_up(&ethernet))) return;
  if (up)
    netif_set_link_up(&ethernet);  // DHCP goes on
  else
    netif_set_link_down(&ethernet);
}

}  // namespace

Result<void> ethernet_start(NetworkDevice& device) {
  TRY(network_start());
  NetworkCore core;
  card = &device;
  ethernet.name = "eth0";
  if (!netif_add_noaddr(&ethernet, nullptr, &initialize, &ethernet_input)) return Errno::kNOMEM;
  netif_set_default(&ethernet);
  netif_set_up(&ethernet);
  card->listen(&network_wake);
  follow_link();
  timers_start_ethernet();
  network_wake();
  return dhcp_start(&ethernet) == ERR_OK ? Result<void>() : Errno::kNOMEM;
}

bool ethernet_receive() {
  if (!card) return false;
  follow_link();
  Input input;
  return card->receive(input);
}

}  // namespace faultline
