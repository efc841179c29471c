// The seam through which the host tests plant bugs and failures in mm, to prove that they would be found. In the kernel there are no
// bugs, and the compiler removes every trace; allocations fail when a thread asks for it.
#pragma once

#include <cstdint>

#include "lib/atomic.h"

namespace faultline::machine {

// What the host build's enumerators name; see host_tests/support/machine/planted_bugs.h.
enum class Bug : uint8_t {
  kForkWithoutFlush,
  kFlushOneCpuOnly,
  kNoFlushAfterDirectoryChange,
  kZeroPageExclusive,
  kSharedTableSole,
  kWritableLeftOnUnshare,
  kFreeBeforeFlush,
  kPinIgnored,
  kNoEndOfFileCheck,
  kDirtyLostAtUnmap,
  kHiddenLeavesPresent,
  kUnmapWithoutFlush,
  kWriteBackWithoutFlush,
  kCopyWithoutFlush,
  kProtectWithoutFlush,
  kTailNotZeroed,
  kLocatorNotMoved,
  kCopiesOutliveTruncation,
  kSwapCacheIgnored,
  kReusedDuringWriteBack,
  kDirtyDroppedAtEviction,
  kEvictionWithoutFlush,
  kSlotNotCountedAtCopy,
  kSlotFreedWhileCached,
  kSlotKeptByWriter,
  kSlotErrorIgnored,
  kLazyCpuLeavesMask,
  kUnshareUnchecked,
  kLastUserAskedLate,
  kSleepUnchecked,
  kPollUnchecked,
  kWakeUpKept,
  kFreedInFlight,
  kCount,
};

constexpr bool planted(Bug) { return false; }
// Tells the emulated machine that a frame (by number) is free from now on: no TLB may hold it (M6).
inline void observe_free(uint32_t) {}
// How many threads have asked for allocations of theirs to fail; whether this is one. kernel/fault_injection.cpp has both.
extern Atomic<uint32_t> fault_injections;
bool fault_injection_strikes();
// Whether this allocation shall fail although there is memory.
inline bool allocation_fails() {
  if (fault_injections.load(memory_order_relaxed) == 0) [[likely]]
    return false;
  return fault_injection_strikes();
}

}  // namespace faultline::machine
