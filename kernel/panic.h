// Reports of our own bugs: the machine stops after each. panic_at() itself is declared in lib/panic.h.
#pragma once

#include "arch/context.h"

namespace faultline {

// A trap in the kernel that nothing could resolve: what happened, CR2 and the error code in words, registers, backtrace.
[[noreturn]] void panic_trap(const TrapFrame& frame, const char* reason);

}  // namespace faultline
