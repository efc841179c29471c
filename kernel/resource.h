// Resource limits, numbered as getrlimit(2) does on i386.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline {

enum class Resource : uint8_t {
  kCpu = 0,
  kFileSize = 1,
  kData = 2,
  kStack = 3,
  kCore = 4,
  kResident = 5,
  kProcesses = 6,
  kOpenFiles = 7,
  kLockedMemory = 8,
  kAddressSpace = 9,
  kFileLocks = 10,
  kPendingSignals = 11,
  kMessageQueues = 12,
  kNice = 13,
  kRealTimePriority = 14,
  kRealTimeTime = 15,
};
inline constexpr uint32_t kResourceCount = 16;

inline constexpr uint64_t kUnlimited = ~0ull;

// Bytes, seconds or counts, as the resource has it.
struct Limit {
  uint64_t current = kUnlimited;
  uint64_t maximum = kUnlimited;
};

using LimitTable = std::array<Limit, kResourceCount>;

// What process 1 starts with and everybody inherits: 8 MiB of stack, 1024 descriptors (at most 4096), no core files.
constexpr LimitTable initial_limits() {
  LimitTable table{};
  auto at = [&table](Resource resource) -> Limit& { return table[static_cast<size_t>(resource)]; };
  at(Resource::kStack) = {8u << 20, kUnlimited};
  at(Resource::kCore) = {0, kUnlimited};
  at(Resource::kOpenFiles) = {1024, 4096};
  at(Resource::kProcesses) = {16384, 16384};
  at(Resource::kLockedMemory) = {8u << 20, 8u << 20};
  at(Resource::kPendingSignals) = {4096, 4096};
  at(Resource::kMessageQueues) = {0, 0};
  at(Resource::kNice) = {0, 0};
  at(Resource::kRealTimePriority) = {0, 0};
  return table;
}

}  // namespace faultline
