// The killer: when memory and swap are full and nothing can be given back, one process ends so that the others can go on. mm asks for it
// (memory_ran_out() in mm/reclaim.h); which one it is, its size and /proc/PID/oom_score_adj decide, as on Linux (proc(5)).
#pragma once

#include <cstdint>

namespace faultline {

class Process;

// How large a process is, in pages; what the killer compares.
struct ProcessSize {
  uint32_t mapped = 0;
  uint32_t anonymous = 0, file = 0, shared = 0;  // resident
  uint32_t swapped = 0, tables = 0;
  uint32_t sum() const { return anonymous + file + shared + swapped + tables; }
};
ProcessSize process_size(Process& process);

// oom_score_adj: thousandths of all memory that are added to the size. The least: never chosen.
inline constexpr int32_t kLeastAdjustment = -1000, kMostAdjustment = 1000;
// From 0 (never) on, as /proc/PID/oom_score shows it.
uint32_t memory_score(Process& process);

// While it lives the running process brings in memory on purpose (swapoff): it is who ends when there is no room.
class MemoryEater {
 public:
  MemoryEater();
  ~MemoryEater();
  MemoryEater(const MemoryEater&) = delete;
  MemoryEater& operator=(const MemoryEater&) = delete;
};

}  // namespace faultline
