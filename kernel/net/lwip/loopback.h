// The interface "lo": what is sent to one of our own addresses is queued here, and delivered when the core's lock is let go, for a
// packet must not arrive while the one who sends it is still in the middle of lwIP.
#pragma once

#include "kernel/net/lwip/core.h"

namespace faultline {

void loopback_initialize() REQUIRES(network_lock);
// Hands queued packets to lwIP, with those that it sends in answer; so many at most that two ends which never cease to answer each other
// cannot hold the core for ever.
void loopback_deliver() REQUIRES(network_lock);
// Whether some were left.
bool loopback_is_pending() REQUIRES(network_lock);

}  // namespace faultline
