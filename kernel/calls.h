// The handlers of process, memory, signal and time calls, by theme. What each does is in the manual (section 2) under its name.
#pragma once

#include "kernel/signal.h"
#include "kernel/system_call.h"
#include "kernel/time.h"

namespace faultline {

// kernel/identity_calls.cpp
Result<uint32_t> sys_getpid();

}  // namespace faultline
