// The seam through which tests plant bugs and failures in mm: one bug at a time, and allocation failures at will.
// The kernel's own header of this name answers "no" at compile time.
#pragma once

#include <cstdint>

namespace faultline::machine {

enum class Bug : uint8_t {
  kForkWithoutFlush,             // fork lowers directory entries and keeps the parent's TLB
  kFlushOneCpuOnly,              // only this CPU forgets
  kNoFlushAfterDirectoryChange,  // a directory entry names another table, the old one stays cached
  kZeroPageExclusive,            // a write makes the zero page writable
  kSharedTableSole,              // a shared table is written as if it had one user
  kWritableLeftOnUnshare,        // the old table's entries keep W though their frames have two users now
  kFreeBeforeFlush,              // frames go back to the allocator before the TLBs forgot them
  kPinIgnored,                   // a loaned frame is made writable because one entry maps it
  kNoEndOfFileCheck,             // pages past the end of a file can be touched
  kDirtyLostAtUnmap,             // the D bit of an unmapped entry is thrown away
  kHiddenLeavesPresent,          // PROT_NONE leaves P set
  kUnmapWithoutFlush,            // munmap flushes nothing
  kWriteBackWithoutFlush,        // D is cleared in the tables, stays set in the TLBs
  kCopyWithoutFlush,             // copy-on-write replaces a frame that TLBs still name
  kProtectWithoutFlush,          // mprotect takes W away in the tables only
  kTailNotZeroed,                // a file that grows shows what was past its old end
  kLocatorNotMoved,              // mremap moves an entry and leaves the reverse map
  kCopiesOutliveTruncation,      // truncation leaves private copies of what it cuts off
  kSwapCacheIgnored,             // a page that is on its way out is read from its slot, which does not have it yet
  kReusedDuringWriteBack,        // a page on its way out is made writable for its last user
  kDirtyDroppedAtEviction,       // a page goes without having been written
  kEvictionWithoutFlush,         // a page goes out while TLBs still name it
  kSlotNotCountedAtCopy,         // a copied table's swap entries are not counted
  kSlotFreedWhileCached,         // a slot is given back though a frame caches it
  kSlotKeptByWriter,             // a page becomes writable and keeps its slot, whose contents are old then
  kSlotErrorIgnored,             // a page that could not be read is taken for good
  // Those that take two processors:
  kLazyCpuLeavesMask,  // a processor that keeps a directory loaded is no longer told to flush
  kUnshareUnchecked,   // two threads un-share the same table, and neither looks whether the other has
  kLastUserAskedLate,  // whether a frame has lost its last user is asked when its lock has been let go
  kSleepUnchecked,     // whoever is about to sleep does not look once more
  kPollUnchecked,      // whoever is about to poll does not look once more
  kWakeUpKept,         // whoever gives up waiting does not look whether it was woken
  kFreedInFlight,      // a frame is freed while the swap device fills it
  kCount,
};
inline constexpr Bug kFirstConcurrentBug = Bug::kLazyCpuLeavesMask;

inline Bug planted_bug = Bug::kCount;
inline bool planted(Bug bug) { return bug == planted_bug; }

// The emulated machine looks whether some TLB still holds a frame (by number) that becomes free (M6).
void observe_free(uint32_t frame);

// One allocation in `allocation_failure_rate` fails, by a generator of its own; 0: none.
inline uint32_t allocation_failure_rate = 0, allocation_failure_state = 1;
// Or one at a chosen place, as with the kernel's /proc/self/fail-nth: after `allocations_before_failure` more as many fail; 0: none.
inline uint32_t allocations_before_failure = 0, allocation_failures = 0;
inline bool allocation_fails() {
  if (allocation_failures != 0) {
    if (allocations_before_failure != 0) return allocations_before_failure--, false;
    return allocation_failures--, true;
  }
  if (allocation_failure_rate == 0) return false;
  allocation_failure_state = allocation_failure_state * 1664525 + 1013904223;
  return (allocation_failure_state >> 8) % allocation_failure_rate == 0;
}

}  // namespace faultline::machine
