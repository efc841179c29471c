// lwIP's timers. Each is a function that wants to be called at an interval, and most only while there is something that may time out; the
// thread "net" sleeps until the earliest. They are lwIP's documented ones, run from a table rather than from its heap, which may be full.
#pragma once

#include <cstdint>

#include "kernel/net/lwip/core.h"

namespace faultline {

// Calls what is due at `now`, of the monotonic clock.
void timers_run(uint64_t now) REQUIRES(network_lock);
// When the next one is due; Deadline::kNever: none runs.
uint64_t timers_next() REQUIRES(network_lock);
// From now on there are frames to and from other machines.
void timers_start_ethernet() REQUIRES(network_lock);

}  // namespace faultline
