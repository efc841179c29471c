// The interface "eth0": a network card (drivers/net) under lwIP's Ethernet and ARP, configured by DHCP.
#pragma once

#include "drivers/net/network_device.h"
#include "kernel/net/lwip/core.h"

namespace faultline {

// Brings up the card. kNOMEM. Boot only, in a thread.
Result<void> ethernet_start(NetworkDevice& device);
// Hands lwIP the frames that have arrived, as many as the card's ring holds. True: there are more.
bool ethernet_receive() REQUIRES(network_lock);

}  // namespace faultline
