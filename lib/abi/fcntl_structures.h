// i386 structures and numbers of fcntl(2), poll(2), select(2) and the time arguments of file calls. Source: asm-generic/fcntl.h, linux/time_types.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace faultline::abi {

struct RecordLock32 {
  int16_t type, whence;
  int32_t start, length, process;
};
static_assert(sizeof(RecordLock32) == 16);
struct [[gnu::packed, gnu::aligned(4)]] RecordLock64 {
  int16_t type, whence;
  int64_t start, length;
  int32_t process;
};
static_assert(sizeof(RecordLock64) == 24 && offsetof(RecordLock64, process) == 20);

inline constexpr uint32_t kDuplicate = 0, kGetDescriptorFlags = 1, kSetDescriptorFlags = 2, kGetStatusFlags = 3, kSetStatusFlags = 4,
                          kGetLock = 5, kSetLock = 6, kSetLockWait = 7, kSetOwner = 8, kGetOwner = 9, kGetLock64 = 12, kSetLock64 = 13,
                          kSetLockWait64 = 14, kGetFileLock = 36, kSetFileLock = 37, kSetFileLockWait = 38, kDuplicateCloseOnExec = 1030,
                          kSetPipeSize = 1031, kGetPipeSize = 1032;
inline constexpr int16_t kReadLock = 0, kWriteLock = 1, kUnlock = 2;

struct Time32 {
  int32_t seconds, fraction;  // nanoseconds in a timespec, microseconds in a timeval
};
struct [[gnu::packed, gnu::aligned(4)]] Time64 {
  int64_t seconds;
  int64_t nanoseconds;
};
static_assert(sizeof(Time32) == 8 && sizeof(Time64) == 16);

struct PollEntry {
  int32_t descriptor;
  int16_t events, returned;
};
static_assert(sizeof(PollEntry) == 8);

}  // namespace faultline::abi
