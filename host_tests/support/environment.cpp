// What the kernel would answer: panic, log, the scheduler. Unless there is an executor one thread runs everything, so blocking without a wake in
// sight is a failure.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <string>

#include "arch/clock.h"
#include "emulated_machine.h"
#include "executor.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/scheduling.h"

namespace faultline {
namespace {

// The only thread, as an address.
char thread_memory;
SleepingLocks only_threads_locks;
bool permit = false;
std::deque<std::function<void()>> deferred;
std::atomic<uint64_t> now = 1'000'000'000;

}  // namespace

namespace host {
void (*panic_hook)(const char* message) = nullptr;
Executor* executor = nullptr;
void machine_defer(std::function<void()> action) { deferred.push_back(std::move(action)); }
}  // namespace host

void panic_at(const char* file, int line, const char* message) {
  char text[400];
  snprintf(text, sizeof text, "%s:%d: panic: %s", file, line, message);
  if (host::panic_hook) host::panic_hook(text);
  fprintf(stderr, "%s\n", text);
  abort();
}

void panic_with_notes(const char* file, int line, const char* message, const PanicNote* notes, unsigned count) {
  std::string text = message;
  for (unsigned i = 0; i < count; i++)
    if (notes[i].text) text += std::string("; ") + notes[i].text + " " + notes[i].name;
  panic_at(file, line, text.c_str());
}

void stack_trace_here(StackTrace&) {}

namespace machine {
void spins_for_ever() { PANIC("a lock that nobody will release is waited for"); }
void* current_thread_pointer() { return current_thread(); }
}  // namespace machine

void log_arguments(LogLevel, StringView, std::span<const FormatArgument>) {}

Thread* current_thread() { return host::executor ? host::executor->current_thread() : reinterpret_cast<Thread*>(&thread_memory); }

SleepingLocks* current_sleeping_locks() { return host::executor ? host::executor->locks() : &only_threads_locks; }

Result<void> block(SleepKind kind, Deadline deadline) {
  if (machine::preemption_depth() != 0) PANIC("blocks with a spin lock held");
  if (host::executor) return host::executor->block(kind, deadline);
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
void wake(Thread& thread) {
  if (host::executor) return host::executor->wake(thread);
  permit = true;
}
void yield() { machine::point(machine::Point::kYield); }

uint64_t clock_monotonic() { return now += 1000; }
uint64_t clock_boot_wall_seconds() { return 1'700'000'000; }

}  // namespace faultline
