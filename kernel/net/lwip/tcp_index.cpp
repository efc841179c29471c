// The index of TCP connections: see tcp_index.h.
//
// lwIP has no place to ask for a connection, but it asks before it looks at a packet, and again when it has found what it belongs to, before it does
// anything with it. Between the two its list begins with the connection that the index has found. Nobody else sees that: the lock is held.
#include "kernel/net/lwip/tcp_index.h"

#include <lwip/prot/ip4.h>
#include <lwip/prot/tcp.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip_hooks.h>

#include <array>

namespace faultline {

struct TcpIndex {
  static constexpr uint32_t kBits = 12;
  std::array<TcpIndexEntry*, 1 << kBits> buckets{};
  tcp_pcb* set_aside = nullptr;  // the list's true beginning while it seems to begin elsewhere

  static uint32_t bucket_of(uint32_t remote_address, uint16_t remote_port, uint16_t local_port) {
    constexpr uint32_t kGolden = 0x9e3779b1;  // 2^32 over the golden ratio: Knuth's multiplicative hash
    return (((static_cast<uint32_t>(local_port) << 16 | remote_port) ^ remote_address * kGolden) * kGolden) >> (32 - kBits);
  }
  tcp_pcb* find(const ip4_addr_t& remote, uint16_t remote_port, const ip4_addr_t& local, uint16_t local_port) const {
    for (TcpIndexEntry* entry = buckets[bucket_of(remote.addr, remote_port, local_port)]; entry; entry = entry->next_) {
      tcp_pcb* block = entry->block_;
      if (block->remote_port == remote_port && block->local_port == local_port && ip4_addr_cmp(&block->remote_ip, &remote) &&
          ip4_addr_cmp(&block->local_ip, &local))
        return block;
    }
    return nullptr;
  }
};

namespace {

constinit TcpIndex table;

// What is in the list that lwIP looks through first, and belongs to no interface alone.
bool is_active(const tcp_pcb& block) { return block.state > LISTEN && block.state != TIME_WAIT && block.netif_idx == NETIF_NO_INDEX; }

}  // namespace

void TcpIndexEntry::add(tcp_pcb& block) {
  remove();
  block_ = &block;
  bucket_ = TcpIndex::bucket_of(block.remote_ip.addr, block.remote_port, block.local_port);
  next_ = table.buckets[bucket_];
  table.buckets[bucket_] = this;
}

void TcpIndexEntry::remove() {
  if (!block_) return;
  TcpIndexEntry** place = &table.buckets[bucket_];
  while (*place != this) place = &(*place)->next_;
  *place = next_;
  block_ = nullptr;
}

void tcp_index_packet_done() { lwip_port_found_connection(); }

}  // namespace faultline

int lwip_port_find_connection(const pbuf* packet) {
  constexpr uint32_t kFragmentMask = IP_MF | IP_OFFMASK;
  if (packet->len < IP_HLEN + TCP_HLEN) return 0;
  auto* ip = static_cast<const ip_hdr*>(packet->payload);
  const uint32_t header = IPH_HL_BYTES(ip);
  if (IPH_PROTO(ip) != IP_PROTO_TCP || header < IP_HLEN || packet->len < header + TCP_HLEN ||
      (lwip_ntohs(IPH_OFFSET(ip)) & kFragmentMask) != 0)
    return 0;
  auto* tcp = reinterpret_cast<const tcp_hdr*>(static_cast<const uint8_t*>(packet->payload) + header);
  const ip4_addr_t remote{ip->src.addr}, local{ip->dest.addr};
  tcp_pcb* block = faultline::table.find(remote, lwip_ntohs(tcp->src), local, lwip_ntohs(tcp->dest));
  if (!block || !faultline::is_active(*block)) return 0;
  faultline::table.set_aside = tcp_active_pcbs;
  tcp_active_pcbs = block;
  return 0;
}

signed char lwip_port_found_connection(void) {
  if (faultline::table.set_aside) {
    tcp_active_pcbs = faultline::table.set_aside;
    faultline::table.set_aside = nullptr;
  }
  return ERR_OK;
}
