// Where lwIP asks before it does what it always does.
#pragma once

#include <lwip/ip4_addr.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>

#ifdef __cplusplus
extern "C" {
#endif
// kernel/net/lwip/loopback.cpp: the interface to a destination that is one of our own addresses; null: it is not.
struct netif* lwip_port_route(const ip4_addr_t* destination);
// The same file: frees a packet that came by a wire and says that it is from here (RFC 1812, 5.3.8: a martian). 1: it did.
int lwip_port_refuse(struct pbuf* packet, const struct netif* input);
// kernel/net/lwip/tcp_index.cpp: a packet has come, and its connection has been found. 0: lwIP goes on with it.
int lwip_port_find_connection(const struct pbuf* packet);
signed char lwip_port_found_connection(void);
#ifdef __cplusplus
}
#endif
