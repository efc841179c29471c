// What one fault decided, for who watches. The staircase (fault.cpp) notes it at each of its ends, unasked: a store costs less than asking.
#pragma once

#include "arch/mmu.h"
#include "lib/abi/fault_record.h"

namespace faultline {

inline constexpr uint32_t kFaultWindow = 32;  // pages, aligned: no fault fills entries outside its own window

// What the staircase itself notes. Deliberately not initialised, but for what is added to: the unwatched fault writes what it writes, and
// nobody reads it.
struct FaultNotes {
  FaultDecision decision;
  uint8_t steps = 0;   // FaultStep
  uint8_t neighbours;  // entries filled beside the page's own
  uint32_t users;      // of the frame that was to be copied
  Pte before;          // the entry
};

struct FaultStory : FaultNotes {
  Pte after, directory_before, directory_after;
  uint32_t cost;  // ticks of the cycle counter
};

}  // namespace faultline
