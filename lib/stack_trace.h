// Where somebody was: for reports that name two places. Debug builds.
#pragma once

#include <cstdint>

namespace faultline {

struct StackTrace {
  static constexpr uint32_t kDepth = 8;
  uintptr_t callers[kDepth] = {};  // innermost first; 0 ends it
};

// The callers of the running code. kernel/panic.cpp implements it; empty on the host, whose sanitizers have better.
void stack_trace_here(StackTrace& trace);

}  // namespace faultline
