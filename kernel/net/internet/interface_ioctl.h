// ioctl(2) of network interfaces: netdevice(7). Any socket of AF_INET takes them.
#pragma once

#include "lib/address.h"
#include "lib/result.h"

namespace faultline {

// kNODEV, kFAULT, kPERM, kINVAL; kNOTTY: not one of them.
Result<uint32_t> interface_ioctl(uint32_t request, VirtAddr argument);

}  // namespace faultline
