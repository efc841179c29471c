// A network interface as the rest of the kernel knows it: lwIP's record, a name, and what /proc/net/dev counts.
#pragma once

#include <lwip/netif.h>

#include <cstdint>

#include "kernel/net/lwip/core.h"
#include "lib/string.h"

namespace faultline {

struct TrafficCounters {
  uint64_t bytes = 0;
  uint32_t packets = 0, errors = 0, dropped = 0;

  void count(uint32_t packet_bytes) {
    bytes += packet_bytes;
    packets++;
  }
};

struct NetworkInterface : netif {
  StringView name;  // lo, eth0
  TrafficCounters received, sent;
};

inline NetworkInterface& interface_of(netif* record) { return *static_cast<NetworkInterface*>(record); }

// The first interface, and the one after `interface`; null: no more.
inline NetworkInterface* interfaces_first() REQUIRES(network_lock) { return static_cast<NetworkInterface*>(netif_list); }
inline NetworkInterface* interfaces_next(NetworkInterface& interface) REQUIRES(network_lock) {
  return static_cast<NetworkInterface*>(interface.next);
}

}  // namespace faultline
