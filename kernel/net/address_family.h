// The address families that socket(2) knows. Each registers itself at boot.
#pragma once

#include "kernel/net/socket.h"

namespace faultline {

struct SocketPair {
  Ref<Socket> first, second;
};

struct AddressFamily {
  uint32_t number;  // AF_*
  // `type` is below kSocketTypeLimit, `flags` may hold kOpenNonBlocking. kSOCKTNOSUPPORT, kPROTONOSUPPORT, kNOMEM, and what the family says.
  Result<Ref<Socket>> (*create)(uint32_t type, uint32_t protocol, uint32_t flags, const Credentials& who);
  // Two that are connected with each other; null: the family has no such thing (kOPNOTSUPP).
  Result<SocketPair> (*create_pair)(uint32_t type, uint32_t protocol, uint32_t flags, const Credentials& who);
};

void address_family_register(const AddressFamily& family);  // boot; it lives for ever
const AddressFamily* address_family(uint32_t number);       // null: kAFNOSUPPORT

// Boot: all of them.
void networks_initialize();

}  // namespace faultline
