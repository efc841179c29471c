// Memory for lwIP: the slab's, within a bound, so that the network cannot eat the machine's memory. What cannot be had is a packet dropped.
#pragma once

#include <arch/cc.h>

#include <cstdint>

#include "kernel/net/lwip/core.h"

namespace faultline {

// Sets the bound: a share of the machine's memory.
void memory_initialize();

// The same for what stands beside lwIP's own records.
inline void* network_allocate(uint32_t bytes) REQUIRES(network_lock) { return lwip_port_allocate(bytes); }
inline void network_free(void* pointer) REQUIRES(network_lock) { lwip_port_free(pointer); }

struct NetworkMemory {
  uint32_t used, bound;  // bytes
};
NetworkMemory network_memory();

}  // namespace faultline
