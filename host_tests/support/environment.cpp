// What the kernel would answer: panic, log, the scheduler. One thread runs everything, so blocking without a wake in sight is a failure.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>

#include "arch/clock.h"
#include "emulated_machine.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/scheduling.h"

namespace faultline {
namespace {

// The only thread, as an address.
char thread_memory;
bool permit = false;
std::deque<std::function<void()>> deferred;
uint64_t now = 1'000'000'000;

}  // namespace

namespace host {
void (*panic_hook)(const char* message) = nullptr;
void machine_defer(std::function<void()> action) { deferred.push_back(std::move(action)); }
}  // namespace host

void panic_at(const char* file, int line, const char* message) {
  char text[400];
  snprintf(text, sizeof text, "%s:%d: panic: %s", file, line, message);
  if (host::panic_hook) host::panic_hook(text);
  fprintf(stderr, "%s\n", text);
  abort();
}

namespace machine {
void spins_for_ever() { PANIC("a lock that nobody will release is waited for"); }
void* current_thread_pointer() { return &thread_memory; }
}  // namespace machine

void log_arguments(LogLevel, StringView, std::span<const FormatArgument>) {}

Thread* current_thread() { return reinterpret_cast<Thread*>(&thread_memory); }

Result<void> block(SleepKind, Deadline deadline) {
  if (machine::preemption_depth() != 0) PANIC("blocks with a spin lock held");
  while (!permit) {
    if (!deferred.empty()) {
      auto action = std::move(deferred.front());
      deferred.pop_front();
      action();
    } else if (!deadline.is_never()) {
      if (deadline.nanoseconds > now) now = deadline.nanoseconds;
      return Errno::kTIMEDOUT;
    } else {
      PANIC("blocks, and nothing will wake it");
    }
  }
  permit = false;
  return {};
}
void wake(Thread&) { permit = true; }
void yield() {}

uint64_t clock_monotonic() { return now += 1000; }
uint64_t clock_cycles() { return now; }
uint64_t clock_boot_wall_seconds() { return 1'700'000'000; }

}  // namespace faultline
