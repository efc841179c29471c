// lwIP as this kernel wants it: IPv4 alone, its core without threads of its own (network.h has the one lock), no sockets (ours are in
// kernel/net). lwip/opt.h says what each option means and what the others are.
#pragma once

// The core runs under our lock, called by our threads; the timers are in timers.cpp.
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_TIMERS_CUSTOM 1
#define LWIP_ASSERT_CORE_LOCKED() lwip_port_assert_locked()
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS 1

// All memory is the slab's, within a bound (memory.cpp), so pools have no sizes of their own.
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 4
#define mem_clib_malloc lwip_port_allocate
#define mem_clib_calloc lwip_port_allocate_zeroed
#define mem_clib_free lwip_port_free

#define LWIP_IPV4 1
#define LWIP_IPV6 0
#define LWIP_RAW 1
#define LWIP_DHCP 1
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define DHCP_DOES_ARP_CHECK 0
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_STATUS_CALLBACK 1
// Loopback is an interface of ours (loopback.cpp), and all our own addresses lead to it.
#define LWIP_HAVE_LOOPIF 0
#define LWIP_NETIF_LOOPBACK 0
#define LWIP_HOOK_FILENAME "lwip_hooks.h"
#define LWIP_HOOK_IP4_ROUTE_SRC(source, destination) lwip_port_route(destination)
#define LWIP_HOOK_IP4_INPUT(packet, input) (lwip_port_refuse(packet, input) || lwip_port_find_connection(packet))
#define LWIP_HOOK_TCP_INPACKET_PCB(block, header, options, first, second, packet) lwip_port_found_connection()
#define LWIP_BROADCAST_PING 0
#define IP_SOF_BROADCAST 1
#define SO_REUSE 1
// A datagram of 64 KiB in pieces, and a few that lack one.
#define IP_REASS_MAX_PBUFS 128

// Loopback is memory: nothing there needs a sum, and segments may be as long as fits a page with lwIP's headers and ours.
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHKSUM_ALGORITHM 3
#define TCP_MSS 4000
#define TCP_OVERSIZE 1460
#define TCP_CALCULATE_EFF_SEND_MSS 1

#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 2
#define TCP_WND (128 * 1024)
#define TCP_SND_BUF (128 * 1024)
#define TCP_SND_QUEUELEN 512
#define TCP_SNDLOWAT (TCP_SND_BUF / 3)
#define MEMP_NUM_TCP_SEG TCP_SND_QUEUELEN
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_KEEPALIVE 1
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1  // for tcp_connection.cpp
#define TCP_LISTEN_BACKLOG 1
#define TCP_OOSEQ_MAX_PBUFS 256  // out of order, a window of whole segments is 90; lwIP walks them all for each that comes
#define LWIP_TCP_RTO_TIME 1000   // RFC 6298
#define TCP_MSL 30000            // TIME_WAIT lasts two of them: a minute, as Linux's
// Ports for who does not name one: Linux's.
#define TCP_LOCAL_PORT_RANGE_START 32768
#define TCP_LOCAL_PORT_RANGE_END 61000
#define TCP_ENSURE_LOCAL_PORT_RANGE(port) ((u16_t)((port) % (TCP_LOCAL_PORT_RANGE_END - TCP_LOCAL_PORT_RANGE_START) + TCP_LOCAL_PORT_RANGE_START))
#define UDP_LOCAL_PORT_RANGE_START TCP_LOCAL_PORT_RANGE_START
#define UDP_LOCAL_PORT_RANGE_END TCP_LOCAL_PORT_RANGE_END
#define UDP_ENSURE_LOCAL_PORT_RANGE(port) TCP_ENSURE_LOCAL_PORT_RANGE(port)
#define LWIP_RANDOMIZE_INITIAL_LOCAL_PORTS 1
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) lwip_port_random()

// What /proc/net/dev shows is counted where frames come and go.
#define LWIP_STATS 0
