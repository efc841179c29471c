// The end of the road: our own bug. kernel/panic.cpp reports and stops the machine; on the host it aborts.
#pragma once

namespace faultline {

// Reports `message` with the caller's place, registers and backtrace, then stops every CPU. Never returns.
[[noreturn]] void panic_at(const char* file, int line, const char* message);

struct StackTrace;

// The same, and who else has to do with it.
struct PanicNote {
  const char* text = nullptr;  // null: none
  const char* name = "";       // follows the text
  const StackTrace* stack = nullptr;
};
[[noreturn]] void panic_with_notes(const char* file, int line, const char* message, const PanicNote* notes, unsigned count);

}  // namespace faultline

#define PANIC(message) ::faultline::panic_at(__FILE__, __LINE__, message)

// States what only our own bug can break; never what a user, a disk or the network sends.
#define ASSERT(condition)                                                         \
  do {                                                                            \
    if (!(condition)) [[unlikely]]                                                \
      ::faultline::panic_at(__FILE__, __LINE__, "assertion failed: " #condition); \
  } while (0)

#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG
#define DEBUG_ASSERT(condition) ASSERT(condition)
#else
#define DEBUG_ASSERT(condition) \
  do {                          \
    (void)sizeof(condition);    \
  } while (0)
#endif
