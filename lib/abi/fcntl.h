// Linux i386 numbers of open(2), fcntl(2), lseek(2) and friends. Source: the manual pages and the i386 UAPI values.
#pragma once

#include <cstdint>

namespace faultline {

inline constexpr uint32_t kOpenAccessMode = 3, kOpenReadOnly = 0, kOpenWriteOnly = 1, kOpenReadWrite = 2;
inline constexpr uint32_t kOpenCreate = 0100, kOpenExclusive = 0200, kOpenNoControllingTty = 0400, kOpenTruncate = 01000,
                          kOpenAppend = 02000, kOpenNonBlocking = 04000, kOpenDataSync = 010000, kOpenAsync = 020000, kOpenDirect = 040000,
                          kOpenLargeFile = 0100000, kOpenDirectory = 0200000, kOpenNoFollow = 0400000, kOpenNoAccessTime = 01000000,
                          kOpenCloseOnExec = 02000000, kOpenSync = 04010000, kOpenPath = 010000000, kOpenTemporary = 020200000;
inline constexpr uint32_t kAtSymlinkNoFollow = 0x100, kAtRemoveDirectory = 0x200, kAtSymlinkFollow = 0x400, kAtNoAutomount = 0x800,
                          kAtEmptyPath = 0x1000, kAtEffectiveAccess = 0x200;
inline constexpr int32_t kAtCurrentDirectory = -100;
inline constexpr uint32_t kSeekSet = 0, kSeekCurrent = 1, kSeekEnd = 2, kSeekData = 3, kSeekHole = 4;

}  // namespace faultline
