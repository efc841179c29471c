// Linux i386's ioctl(2) of network interfaces: netdevice(7), and routes by SIOCADDRT.
#pragma once

#include <cstdint>

#include "lib/abi/internet.h"

namespace faultline::abi {

// SIOC*.
inline constexpr uint32_t kAddRoute = 0x890b, kDeleteRoute = 0x890c, kGetInterfaceName = 0x8910, kListInterfaces = 0x8912,
                          kGetInterfaceFlags = 0x8913, kSetInterfaceFlags = 0x8914, kGetInterfaceAddress = 0x8915,
                          kSetInterfaceAddress = 0x8916, kGetInterfaceDestination = 0x8917, kGetInterfaceBroadcast = 0x8919,
                          kSetInterfaceBroadcast = 0x891a, kGetInterfaceMask = 0x891b, kSetInterfaceMask = 0x891c,
                          kGetInterfaceMetric = 0x891d, kGetInterfaceMtu = 0x8921, kGetInterfaceHardware = 0x8927,
                          kGetInterfaceIndex = 0x8933, kGetInterfaceQueue = 0x8942, kGetInterfaceMap = 0x8970;
inline constexpr uint32_t kFirstInterfaceRequest = kAddRoute, kLastInterfaceRequest = kGetInterfaceMap;

// IFF_*.
inline constexpr uint32_t kInterfaceUp = 0x1, kInterfaceBroadcast = 0x2, kInterfaceLoopback = 0x8, kInterfaceRunning = 0x40,
                          kInterfaceMulticast = 0x1000;
inline constexpr uint16_t kHardwareEthernet = 1, kHardwareLoopback = 772;  // ARPHRD_*

struct HardwareAddress {  // sockaddr of ARPHRD_ETHER
  uint16_t family;
  uint8_t address[14];
};

struct InterfaceRequest {  // ifreq
  char name[16];
  union {
    InternetAddress address;
    HardwareAddress hardware;
    uint16_t flags;
    uint32_t number;
    uint8_t bytes[16];
  };
};
static_assert(sizeof(InterfaceRequest) == 32);

struct InterfaceList {  // ifconf
  int32_t bytes;
  uint32_t requests;
};

struct RouteRequest {  // rtentry
  uint32_t pad1;
  InternetAddress destination, gateway, mask;
  uint16_t flags;
  int16_t pad2;
  uint32_t pad3;
  uint32_t pad4;  // a pointer
  int16_t metric;
  uint32_t device;  // user pointer to the name
  uint32_t mtu, window;
  uint16_t initial_round_trip;
};
static_assert(sizeof(RouteRequest) == 84);

}  // namespace faultline::abi
