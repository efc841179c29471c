// The table of address families.
#include "kernel/net/address_family.h"

#include "kernel/net/unix_socket.h"

namespace faultline {

namespace {
constinit const AddressFamily* families[abi::kFamilyLimit] = {};  // written at boot
}

void address_family_register(const AddressFamily& family) {
  ASSERT(family.number < abi::kFamilyLimit && !families[family.number]);
  families[family.number] = &family;
}

const AddressFamily* address_family(uint32_t number) { return number < abi::kFamilyLimit ? families[number] : nullptr; }

void networks_initialize() { unix_sockets_initialize(); }

}  // namespace faultline
