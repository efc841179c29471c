// The seam through which the host tests plant bugs and failures in mm, to prove that they would be found. In the kernel there are
// none, and the compiler removes every trace.
#pragma once

#include <cstdint>

namespace faultline::machine {

// What the host build's enumerators name; see host_tests/support/machine/planted_bugs.h.
enum class Bug : uint8_t {
    kForkWithoutFlush, kFlushOneCpuOnly, kNoFlushAfterDirectoryChange, kZeroPageExclusive, kSharedTableSole,
    kWritableLeftOnUnshare, kFreeBeforeFlush, kPinIgnored, kNoEndOfFileCheck, kDirtyLostAtUnmap, kHiddenLeavesPresent,
    kUnmapWithoutFlush, kWriteBackWithoutFlush, kCopyWithoutFlush, kProtectWithoutFlush, kTailNotZeroed, kLocatorNotMoved,
    kCopiesOutliveTruncation,
    kCount,
};

constexpr bool planted(Bug) { return false; }
// Tells the emulated machine that a frame (by number) is free from now on: no TLB may hold it (M6).
inline void observe_free(uint32_t) {}
// Whether this allocation shall fail although there is memory.
constexpr bool allocation_fails() { return false; }

}  // namespace faultline::machine
