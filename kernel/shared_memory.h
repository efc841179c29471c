// System V shared memory (shmget(2)): segments that are found by key or id and live until they are removed and nobody has them attached.
#pragma once

#include <cstdint>

#include "lib/format.h"

namespace faultline {

// /proc/sysvipc/shm.
void shared_memory_describe(FormatSink& sink);

}  // namespace faultline
