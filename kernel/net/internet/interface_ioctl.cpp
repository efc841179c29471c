// Network interfaces by ioctl(2), as ifconfig, route and udhcpc ask: see interface_ioctl.h.
#include "kernel/net/internet/interface_ioctl.h"

#include <lwip/dhcp.h>
#include <lwip/netif.h>

#include "kernel/files/support.h"
#include "kernel/net/lwip/interface.h"
#include "lib/abi/internet.h"
#include "lib/abi/interface.h"
#include "lib/abi/socket.h"
#include "mm/user_memory.h"

namespace faultline {

namespace {

using abi::InterfaceRequest;

StringView name_in(const InterfaceRequest& request) {
  size_t length = 0;
  while (length < sizeof request.name && request.name[length] != 0) length++;
  return {request.name, length};
}

NetworkInterface* find(StringView name) REQUIRES(network_lock) {
  for (NetworkInterface* each = interfaces_first(); each; each = interfaces_next(*each))
    if (each->name == name) return each;
  return nullptr;
}

NetworkInterface* find_index(uint32_t index) REQUIRES(network_lock) {
  for (NetworkInterface* each = interfaces_first(); each; each = interfaces_next(*each))
    if (netif_get_index(each) == index) return each;
  return nullptr;
}

void put_address(InterfaceRequest& request, uint32_t address) {
  request.address = {static_cast<uint16_t>(abi::kFamilyInternet), 0, address, {}};
}

uint32_t flags_of(const NetworkInterface& interface) {
  uint32_t flags = netif_is_up(&interface) ? abi::kInterfaceUp : 0;
  if (netif_is_up(&interface) && netif_is_link_up(&interface)) flags |= abi::kInterfaceRunning;
  return flags | (interface.flags & NETIF_FLAG_BROADCAST ? abi::kInterfaceBroadcast | abi::kInterfaceMulticast : abi::kInterfaceLoopback);
}

// kNOTTY: it is not one that asks.
Result<void> answer(NetworkInterface& interface, uint32_t what, InterfaceRequest& request) REQUIRES(network_lock) {
  const uint32_t address = netif_ip4_addr(&interface)->addr, mask = netif_ip4_netmask(&interface)->addr;
  switch (what) {
    case abi::kGetInterfaceFlags: request.flags = static_cast<uint16_t>(flags_of(interface)); return {};
    case abi::kGetInterfaceAddress:
      if (address == 0) return Errno::kADDRNOTAVAIL;
      put_address(request, address);
      return {};
    case abi::kGetInterfaceMask: put_address(request, mask); return {};
    case abi::kGetInterfaceBroadcast: put_address(request, interface.flags & NETIF_FLAG_BROADCAST ? address | ~mask : 0); return {};
    case abi::kGetInterfaceDestination: put_address(request, address); return {};
    case abi::kGetInterfaceMtu: request.number = interface.mtu; return {};
    case abi::kGetInterfaceIndex: request.number = netif_get_index(&interface); return {};
    case abi::kGetInterfaceMetric: request.number = 0; return {};
    case abi::kGetInterfaceQueue: request.number = interface.flags & NETIF_FLAG_BROADCAST ? 1000 : 0; return {};
    case abi::kGetInterfaceMap: memset(request.bytes, 0, sizeof request.bytes); return {};
    case abi::kGetInterfaceHardware:
      memset(request.bytes, 0, sizeof request.bytes);
      request.hardware.family = interface.hwaddr_len != 0 ? abi::kHardwareEthernet : abi::kHardwareLoopback;
      memcpy(request.hardware.address, interface.hwaddr, interface.hwaddr_len);
      return {};
    default: return Errno::kNOTTY;
  }
}

Result<void> set_flags(NetworkInterface& interface, uint32_t flags) REQUIRES(network_lock) {
  if (flags & abi::kInterfaceUp)
    netif_set_up(&interface);
  else
    netif_set_down(&interface);
  return {};
}

// An address that somebody sets takes the place of what DHCP looks after.
Result<void> change(NetworkInterface& interface, uint32_t what, const InterfaceRequest& request) REQUIRES(network_lock) {
  const ip4_addr_t given{request.address.address};
  if (what != abi::kSetInterfaceFlags && netif_dhcp_data(&interface)) {
    const ip4_addr_t address = *netif_ip4_addr(&interface), mask = *netif_ip4_netmask(&interface), gateway = *netif_ip4_gw(&interface);
    dhcp_release_and_stop(&interface);
    dhcp_cleanup(&interface);
    netif_set_addr(&interface, &address, &mask, &gateway);
  }
  switch (what) {
    case abi::kSetInterfaceFlags: return set_flags(interface, request.flags);
    case abi::kSetInterfaceAddress:
      netif_set_ipaddr(&interface, &given);
      if (netif_ip4_netmask(&interface)->addr == 0) {
        const ip4_addr_t mask{PP_HTONL(IP_CLASSA(lwip_ntohl(given.addr))   ? IP_CLASSA_NET
                                       : IP_CLASSB(lwip_ntohl(given.addr)) ? IP_CLASSB_NET
                                                                           : IP_CLASSC_NET)};
        netif_set_netmask(&interface, &mask);
      }
      netif_set_up(&interface);
      return {};
    case abi::kSetInterfaceMask: netif_set_netmask(&interface, &given); return {};
    case abi::kSetInterfaceBroadcast: return {};  // it follows from address and mask
    default: return Errno::kNOTTY;
  }
}

Result<void> change_route(uint32_t what, VirtAddr argument) {
  const abi::RouteRequest request = TRY(user_read(UserPtr<abi::RouteRequest>(argument)));
  NetworkCore core;
  NetworkInterface* interface = find("eth0");
  if (!interface) return Errno::kNETUNREACH;
  if (request.destination.address != 0) return Errno::kOPNOTSUPP;  // lwIP has the interfaces' own networks and one gateway
  const ip4_addr_t gateway{what == abi::kAddRoute ? request.gateway.address : 0};
  if (what == abi::kDeleteRoute && ip4_addr_isany_val(*netif_ip4_gw(interface))) return Errno::kSRCH;
  netif_set_gw(interface, &gateway);
  return {};
}

Result<void> list_interfaces(VirtAddr argument) {
  abi::InterfaceList list = TRY(user_read(UserPtr<abi::InterfaceList>(argument)));
  InterfaceRequest found[4];
  uint32_t count = 0;
  {
    NetworkCore core;
    for (NetworkInterface* each = interfaces_first(); each && count < 4; each = interfaces_next(*each)) {
      if (ip4_addr_isany_val(*netif_ip4_addr(each))) continue;
      InterfaceRequest& request = found[count++];
      memset(&request, 0, sizeof request);
      memcpy(request.name, each->name.data(), each->name.size());
      put_address(request, netif_ip4_addr(each)->addr);
    }
  }
  uint32_t bytes = count * static_cast<uint32_t>(sizeof(InterfaceRequest));
  if (list.requests != 0) {
    const uint32_t room = list.bytes < 0 ? 0 : static_cast<uint32_t>(list.bytes) / sizeof(InterfaceRequest) * sizeof(InterfaceRequest);
    bytes = bytes < room ? bytes : room;
    TRY(user_write_bytes(VirtAddr(list.requests), found, bytes));
  }
  list.bytes = static_cast<int32_t>(bytes);
  return user_write(UserPtr<abi::InterfaceList>(argument), list);
}

Result<void> with_interface(uint32_t what, VirtAddr argument) {
  InterfaceRequest request = TRY(user_read(UserPtr<InterfaceRequest>(argument)));
  const bool asks = what != abi::kSetInterfaceFlags && what != abi::kSetInterfaceAddress && what != abi::kSetInterfaceMask &&
                    what != abi::kSetInterfaceBroadcast;
  if (!asks && !caller_credentials().is_superuser()) return Errno::kPERM;
  {
    NetworkCore core;
    const bool by_index = what == abi::kGetInterfaceName;
    NetworkInterface* interface = by_index ? find_index(request.number) : find(name_in(request));
    if (!interface) return Errno::kNODEV;
    if (by_index) {
      memset(request.name, 0, sizeof request.name);
      memcpy(request.name, interface->name.data(), interface->name.size());
    } else {
      TRY(asks ? answer(*interface, what, request) : change(*interface, what, request));
    }
  }
  return asks ? user_write(UserPtr<InterfaceRequest>(argument), request) : Result<void>();
}

}  // namespace

Result<uint32_t> interface_ioctl(uint32_t request, VirtAddr argument) {
  if (request < abi::kFirstInterfaceRequest || request > abi::kLastInterfaceRequest) return Errno::kNOTTY;
  switch (request) {
    case abi::kListInterfaces: TRY(list_interfaces(argument)); return 0u;
    case abi::kAddRoute:
    case abi::kDeleteRoute:
      if (!caller_credentials().is_superuser()) return Errno::kPERM;
      TRY(change_route(request, argument));
      return 0u;
    default: TRY(with_interface(request, argument)); return 0u;
  }
}

}  // namespace faultline
