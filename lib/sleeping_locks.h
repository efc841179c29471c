// Debug builds: which sleeping locks a thread holds, and which one it waits for. For reports of deadlocks and of hung threads, and for the order
// that locks are seen to be taken in. A thread that would hold more than there is room for holds the rest unseen.
#pragma once

#include <cstdint>

#include "lib/lock_rank.h"
#include "lib/stack_trace.h"

namespace faultline {

struct SleepingLocks {
  enum class Mode : uint8_t { kExclusive, kShared };
  struct Held {
    const void* lock = nullptr;
    LockRank rank{};
    Mode mode{};
    StackTrace taken;  // where it was taken; of a wanted one, where it is waited for
  };
  static constexpr uint32_t kMost = 8;

  Held held[kMost];
  uint32_t count = 0;
  Held wanted;  // its lock is null: none

  void add(const Held& lock) {
    if (count < kMost) held[count++] = lock;
  }
  bool remove(const void* lock) {
    for (uint32_t i = count; i-- > 0;)
      if (held[i].lock == lock) {
        for (uint32_t j = i; j + 1 < count; j++) held[j] = held[j + 1];
        count--;
        return true;
      }
    return false;
  }
};

// The running thread's; null: none runs yet. The scheduler's side, as in lib/scheduling.h.
SleepingLocks* current_sleeping_locks();

}  // namespace faultline
