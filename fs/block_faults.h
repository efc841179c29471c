// Disks that fail on request: a rule says which requests of which disk end with an error, or come late. For tests (docs/fault-injection.md); nobody
// pays more than a branch for it while there are no rules.
#pragma once

#include <cstdint>

#include "fs/block_device.h"

namespace faultline {

struct BlockFault {
  BlockDevice* device = nullptr;
  bool reads = false, writes = false, flushes = false;
  // Of the requests that touch these sectors …
  uint64_t first = 0, sectors = ~0ull;
  // … these: the `nth` from now on (0: all), as many as `times`; and of those, so many in 1,000, by a generator that starts at `seed`.
  uint32_t nth = 0, times = ~0u;
  uint32_t per_mille = 1000, seed = 1;
  // What becomes of them: kIO without reaching the disk, or only this much later.
  uint64_t delay = 0;   // nanoseconds; 0: an error
  uint32_t struck = 0;  // how many it was so far
};

// kNOSPC: there is no room for one more rule.
Result<void> block_fault_add(const BlockFault& fault);
void block_faults_clear();
// False: there is no rule of that number.
bool block_fault_at(uint32_t index, BlockFault& fault);

}  // namespace faultline
