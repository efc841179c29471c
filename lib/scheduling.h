// What the lower floors ask of the scheduler. kernel/scheduler.cpp implements it; host_tests/support does it again for
// tests. The protocol is a permit: wake() gives the thread one, block() takes it or sleeps until there is one. So a
// wake between "I looked" and "I sleep" is never lost, and callers look again after every block(): it may be spurious.
#pragma once

#include <cstdint>

#include "lib/result.h"

namespace faultline {

class Thread;  // opaque below kernel/

enum class SleepKind : uint8_t {
  kUninterruptible,  // disk I/O, locks: only wake() ends it
  kKillable,         // also a fatal signal
  kInterruptible,    // also any signal that is not blocked
};

// Nanoseconds of the monotonic clock at which a sleep ends, or never.
struct Deadline {
  static constexpr uint64_t kNever = ~0ull;
  uint64_t nanoseconds = kNever;
  static constexpr Deadline never() { return {}; }
  constexpr bool is_never() const { return nanoseconds == kNever; }
};

Thread* current_thread();

// Sleeps until wake(current_thread()), a signal as `kind` allows (kINTR) or the deadline (kTIMEDOUT). No spin lock may
// be held, interrupts must be on.
Result<void> block(SleepKind kind, Deadline deadline = Deadline::never());

// Gives `thread` its permit and makes it runnable if it sleeps. Any context, interrupt handlers included.
void wake(Thread& thread);

// Gives up the CPU to threads of equal right, staying runnable.
void yield();

}  // namespace faultline
