// /proc/net/dev, route, tcp and udp, in Linux's formats.
#include "kernel/net/internet/proc.h"

#include <lwip/priv/tcp_priv.h>
#include <lwip/udp.h>

#include "kernel/net/internet/tcp_connection.h"
#include "kernel/net/lwip/interface.h"
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

Result<void> show_devices(const ProcContext&, FormatSink& sink) {
  TRY(network_start());
  sink.put(
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n");
  NetworkCore core;
  for (NetworkInterface* each = interfaces_first(); each; each = interfaces_next(*each)) {
    const TrafficCounters &in = each->received, &out = each->sent;
    format(sink, "{6}: {7} {7} {4} {4}    0     0          0         0 {8} {7} {4} {4}    0     0       0          0\n", each->name,
           in.bytes, in.packets, in.errors, in.dropped, out.bytes, out.packets, out.errors, out.dropped);
  }
  return {};
}

constexpr uint32_t kRouteUp = 1, kRouteGateway = 2;

void put_route(FormatSink& sink, const NetworkInterface& interface, uint32_t network, uint32_t gateway, uint32_t mask) {
  format(sink, "{}\t{08X}\t{08X}\t{04X}\t0\t0\t0\t{08X}\t0\t0\t0\n", interface.name, network, gateway,
         kRouteUp | (gateway != 0 ? kRouteGateway : 0), mask);
}

Result<void> show_routes(const ProcContext&, FormatSink& sink) {
  TRY(network_start());
  sink.put("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n");
  NetworkCore core;
  for (NetworkInterface* each = interfaces_first(); each; each = interfaces_next(*each)) {
    const uint32_t address = netif_ip4_addr(each)->addr, mask = netif_ip4_netmask(each)->addr, gateway = netif_ip4_gw(each)->addr;
    if (!(each->flags & NETIF_FLAG_BROADCAST) || !netif_is_up(each) || address == 0) continue;  // loopback has a table of its own in Linux
    if (gateway != 0) put_route(sink, *each, 0, gateway, 0);
    put_route(sink, *each, address & mask, 0, mask);
  }
  return {};
}

// TCP's states by Linux's numbers.
uint32_t state_number(tcp_state state) {
  switch (state) {
    case ESTABLISHED: return 1;
    case SYN_SENT: return 2;
    case SYN_RCVD: return 3;
    case FIN_WAIT_1: return 4;
    case FIN_WAIT_2: return 5;
    case TIME_WAIT: return 6;
    case CLOSED: return 7;
    case CLOSE_WAIT: return 8;
    case LAST_ACK: return 9;
    case LISTEN: return 10;
    case CLOSING: return 11;
  }
  return 7;
}

struct SocketLine {
  InternetEndpoint own, peer;
  uint32_t state = 7, to_send = 0, to_receive = 0;
};

void put_line(FormatSink& sink, uint32_t number, const SocketLine& line) {
  format(sink, "{4}: {08X}:{04X} {08X}:{04X} {02X} {08X}:{08X} 00:00000000 00000000     0        0 0 0 00000000 0\n", number,
         line.own.address.addr, line.own.port, line.peer.address.addr, line.peer.port, line.state, line.to_send, line.to_receive);
}

Result<void> show_tcp(const ProcContext&, FormatSink& sink) {
  TRY(network_start());
  sink.put("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n");
  NetworkCore core;
  uint32_t number = 0;
  for (const tcp_pcb_listen* each = tcp_listen_pcbs.listen_pcbs; each; each = each->next)
    put_line(sink, number++, {{each->local_ip, each->local_port}, {}, state_number(LISTEN)});
  for (const tcp_pcb* list : {tcp_active_pcbs, tcp_tw_pcbs})
    for (const tcp_pcb* each = list; each; each = each->next) {
      const auto* connection = static_cast<const TcpConnection*>(each->callback_arg);
      put_line(sink, number++,
               {{each->local_ip, each->local_port},
                {each->remote_ip, each->remote_port},
                state_number(each->state),
                TCP_SND_BUF - each->snd_buf,
                connection && each->state != SYN_RCVD ? connection->received_bytes() : 0});
    }
  return {};
}

Result<void> show_udp(const ProcContext&, FormatSink& sink) {
  TRY(network_start());
  sink.put("   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n");
  NetworkCore core;
  uint32_t number = 0;
  for (const udp_pcb* each = udp_pcbs; each; each = each->next)
    put_line(sink, number++, {{each->local_ip, each->local_port}, {each->remote_ip, each->remote_port}});
  return {};
}

}  // namespace

constinit const ProcNode kProcNetDevicesNode = proc_file("dev", &show_devices);
constinit const ProcNode kProcNetRouteNode = proc_file("route", &show_routes);
constinit const ProcNode kProcNetTcpNode = proc_file("tcp", &show_tcp);
constinit const ProcNode kProcNetUdpNode = proc_file("udp", &show_udp);

}  // namespace faultline
