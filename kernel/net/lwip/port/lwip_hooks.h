// Where lwIP asks before it does what it always does.
#pragma once

#include <lwip/ip4_addr.h>
#include <lwip/netif.h>

#ifdef __cplusplus
extern "C" {
#endif
// kernel/net/lwip/loopback.cpp: the interface to a destination that is one of our own addresses; null: it is not.
struct netif* lwip_port_route(const ip4_addr_t* destination);
#ifdef __cplusplus
}
#endif
