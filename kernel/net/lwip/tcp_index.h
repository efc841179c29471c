// Finds the connection of a TCP packet by hashing. lwIP looks through the list of all connections, the last one heard of first: with ten thousand that would
// be most of what a request costs.
#pragma once

#include <cstdint>

#include "kernel/net/lwip/core.h"

struct tcp_pcb;

namespace faultline {

// What a connection has in the index while lwIP may give it packets.
class TcpIndexEntry {
 public:
  // The control block has its addresses and ports, and keeps them.
  void add(tcp_pcb& block) REQUIRES(network_lock);
  // Before the control block goes. No effect if it is not there.
  void remove() REQUIRES(network_lock);

 private:
  friend struct TcpIndex;
  tcp_pcb* block_ = nullptr;
  TcpIndexEntry* next_ = nullptr;
  uint32_t bucket_ = 0;
};

// After each packet that lwIP was given: it may have dropped it before it looked.
void tcp_index_packet_done() REQUIRES(network_lock);

}  // namespace faultline
