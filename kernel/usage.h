// struct rusage of i386.
#pragma once

#include "kernel/process.h"
#include "kernel/time.h"

namespace faultline {

struct UserUsage {
  Timeval32 user_time{}, kernel_time{};
  uint32_t peak_resident_kib = 0;
  uint32_t unused_sizes[3] = {};
  uint32_t minor_faults = 0, major_faults = 0;
  uint32_t swaps = 0, blocks_in = 0, blocks_out = 0, messages_sent = 0, messages_received = 0, signals = 0;
  uint32_t voluntary_switches = 0, involuntary_switches = 0;
};
static_assert(sizeof(UserUsage) == 72);

// What one thread has used.
ResourceUsage thread_usage(const Thread& thread);
UserUsage user_usage_of(const ResourceUsage& usage);

}  // namespace faultline
