// Linux i386's numbers and structures of AF_INET: ip(7), tcp(7), udp(7), raw(7), netdevice(7).
#pragma once

#include <cstdint>

namespace faultline::abi {

inline constexpr uint32_t kProtocolIp = 0, kProtocolIcmp = 1, kProtocolTcp = 6, kProtocolUdp = 17, kProtocolLimit = 256;

struct InternetAddress {  // sockaddr_in
  uint16_t family;
  uint16_t port;     // both in network order
  uint32_t address;
  uint8_t zero[8];
};
static_assert(sizeof(InternetAddress) == 16);

// setsockopt(IPPROTO_TCP).
inline constexpr uint32_t kTcpNoDelay = 1, kTcpMaximumSegment = 2, kTcpCork = 3, kTcpKeepIdle = 4, kTcpKeepInterval = 5, kTcpKeepCount = 6,
                          kTcpDeferAccept = 9, kTcpQuickAck = 12, kTcpUserTimeout = 18;
// setsockopt(IPPROTO_IP).
inline constexpr uint32_t kIpTypeOfService = 1, kIpTimeToLive = 2, kIpHeaderIncluded = 3, kIpMtuDiscover = 10, kIpReceiveError = 11,
                          kIpReceiveTimeToLive = 12;

}  // namespace faultline::abi
