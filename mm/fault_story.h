// What one fault decided, for who watches. The staircase (fault.cpp) notes it at each of its ends, unasked: a store costs less than asking.
#pragma once

#include "arch/mmu.h"
#include "lib/abi/fault_record.h"

namespace faultline {

// Deliberately not initialised, but for what is added to: the unwatched fault writes what it writes, and nobody reads it.
struct FaultStory {
  FaultDecision decision;
  uint8_t steps;       // FaultStep
  uint8_t neighbours;  // entries filled beside the page's own
  uint32_t users;      // of the frame that was to be copied
  Pte before, after;   // the entry; only `before` is the staircase's
  Pte directory_before, directory_after;
  uint32_t cost;  // ticks of the cycle counter
  FaultStory() : steps(0) {}
};

}  // namespace faultline
