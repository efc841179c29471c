// AF_INET addresses between the system calls and lwIP.
#pragma once

#include <lwip/err.h>
#include <lwip/ip_addr.h>
#include <lwip_hooks.h>

#include "kernel/net/socket.h"
#include "lib/abi/internet.h"

namespace faultline {

struct InternetEndpoint {
  ip4_addr_t address{0};  // network order; 0: any
  uint16_t port = 0;      // host order; 0: none
};

// kINVAL: too short; kAFNOSUPPORT.
inline Result<InternetEndpoint> internet_endpoint(const SocketAddress& from) {
  if (from.bytes < sizeof(abi::InternetAddress)) return Errno::kINVAL;
  if (from.family() != abi::kFamilyInternet) return Errno::kAFNOSUPPORT;
  const auto& given = from.as<abi::InternetAddress>();
  return InternetEndpoint{{given.address}, __builtin_bswap16(given.port)};
}

inline void tell_endpoint(SocketAddress& to, const InternetEndpoint& endpoint) {
  to.bytes = sizeof(abi::InternetAddress);
  to.as<abi::InternetAddress>() = {
      static_cast<uint16_t>(abi::kFamilyInternet), __builtin_bswap16(endpoint.port), endpoint.address.addr, {}};
}

// Whether a socket may be bound to it.
inline bool internet_is_own(const ip4_addr_t& address) { return ip4_addr_isany_val(address) || lwip_port_route(&address); }

// lwIP's errors of calls, as errno.
inline Result<void> internet_result(err_t error) {
  switch (error) {
    case ERR_OK: return {};
    case ERR_MEM:
    case ERR_BUF: return Errno::kNOBUFS;
    case ERR_RTE: return Errno::kNETUNREACH;
    case ERR_USE: return Errno::kADDRINUSE;
    case ERR_ISCONN: return Errno::kISCONN;
    case ERR_CONN: return Errno::kNOTCONN;
    default: return Errno::kINVAL;
  }
}

}  // namespace faultline
