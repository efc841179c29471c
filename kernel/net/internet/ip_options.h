// The options of IPPROTO_IP that all sockets of AF_INET have: ip(7).
#pragma once

#include "kernel/net/socket.h"
#include "lib/abi/internet.h"

namespace faultline {

// A number as setsockopt has it: those of IPPROTO_IP may be a byte.
inline Result<uint32_t> ip_option_read(uint32_t level, UserPtr<const void> value, uint32_t bytes) {
  if (level == abi::kProtocolIp && bytes >= 1 && bytes < sizeof(uint32_t)) return uint32_t{TRY(option_read<uint8_t>(value, bytes))};
  return option_read<uint32_t>(value, bytes);
}

inline Result<void> set_ip_option(uint8_t& time_to_live, uint8_t& type_of_service, uint32_t name, uint32_t number) {
  constexpr uint32_t kDefaultTimeToLive = 64;
  switch (name) {
    case abi::kIpTimeToLive:
      if (number != ~0u && (number < 1 || number > 255)) return Errno::kINVAL;
      time_to_live = static_cast<uint8_t>(number == ~0u ? kDefaultTimeToLive : number);
      return {};
    case abi::kIpTypeOfService: type_of_service = static_cast<uint8_t>(number); return {};
    default: return Errno::kNOPROTOOPT;
  }
}

inline Result<uint32_t> ip_option(uint8_t time_to_live, uint8_t type_of_service, uint32_t name) {
  switch (name) {
    case abi::kIpTimeToLive: return uint32_t{time_to_live};
    case abi::kIpTypeOfService: return uint32_t{type_of_service};
    default: return Errno::kNOPROTOOPT;
  }
}

}  // namespace faultline
