// See watchdog.h.
#include "kernel/watchdog.h"

#include "arch/clock.h"
#include "kernel/boot_information.h"
#include "kernel/process.h"
#include "kernel/symbols.h"
#include "kernel/thread.h"
#include "lib/lock_classes.h"
#include "lib/log.h"

#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG

namespace faultline {

SleepingLocks* current_sleeping_locks() {
  Thread* self = current_thread();
  return self ? &self->sleeping_locks : nullptr;
}

namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint32_t kHungSeconds = 60, kHoldMilliseconds = 200;

void log_stack(StringView heading, const StackTrace& trace) {
  log(LogLevel::kWarning, "{}", heading);
  for (uintptr_t caller : trace.callers) {
    if (caller == 0) return;
    SymbolPlace place = symbol_find(static_cast<uint32_t>(caller));
    log(LogLevel::kWarning, "  by {08x} {}+0x{x}", static_cast<uint32_t>(caller), place.name.substring(0, 160), place.offset);
  }
}

// What is known of a thread that hangs, taken while it cannot go away.
struct HungThread {
  uint32_t id = 0;
  char name[Thread::kNameLimit] = {};
  StackTrace stack;
  SleepingLocks::Held wanted;
  uint32_t holder = 0;  // of what it wants; 0: none was found
};

// As context_switch() leaves it: ebp and the return address.
void stack_of_sleeper(const Thread& thread, StackTrace& trace) {
  const auto* saved = reinterpret_cast<const uint32_t*>(static_cast<uintptr_t>(thread.context.stack_pointer));
  trace.callers[0] = saved[1];
  const uintptr_t top = reinterpret_cast<uintptr_t>(thread.stack_top);
  uintptr_t frame = saved[0], lowest = thread.context.stack_pointer;
  for (uint32_t i = 1; i < StackTrace::kDepth && frame > lowest && frame + 8 <= top; i++) {
    const auto* words = reinterpret_cast<const uint32_t*>(frame);
    trace.callers[i] = words[1];
    lowest = frame;
    frame = words[0];
  }
}

// Looks at all threads of programs, once a second: one that has not run since so many looks, and that nothing but a wake-up can end, hangs.
class HungTaskSearch {
 public:
  explicit HungTaskSearch(uint32_t patience) : patience_(patience) {}
  // The next that has been found to hang just now; false: no more.
  bool look(HungThread& found) {
    found_ = &found;
    found = {};
    Process::for_each([](Process& process, void* self) { return static_cast<HungTaskSearch*>(self)->look_at(process); }, this);
    if (found.id != 0 && found.wanted.lock) Process::for_each(&find_holder, &found);
    is_first_ = false;
    return found.id != 0;
  }
  void begin() { is_first_ = true; }

 private:
  bool look_at(Process& process) NO_THREAD_SAFETY_ANALYSIS {
    for (Thread& thread : process.threads_) {
      const bool sleeps = thread.state == ThreadState::kSleeping && thread.sleep_kind == SleepKind::kUninterruptible;
      SleepWatch& watch = thread.sleep_watch;
      if (!sleeps || watch.switches != thread.voluntary_switches) {
        watch = {thread.voluntary_switches, 0};
        continue;
      }
      if (is_first_) watch.looks++;
      if (watch.looks != patience_) continue;
      watch.looks++;  // told once
      tell(thread);
      return false;
    }
    return true;
  }

  void tell(const Thread& thread) {
    found_->id = thread.id();
    memcpy(found_->name, thread.name, sizeof found_->name);
    stack_of_sleeper(thread, found_->stack);
    found_->wanted = thread.sleeping_locks.wanted;
  }

  static bool find_holder(Process& process, void* context) NO_THREAD_SAFETY_ANALYSIS {
    auto& found = *static_cast<HungThread*>(context);
    for (const Thread& thread : process.threads_)
      for (uint32_t i = 0; i < thread.sleeping_locks.count; i++)
        if (thread.sleeping_locks.held[i].lock == found.wanted.lock) found.holder = thread.id();
    return found.holder == 0;
  }

  const uint32_t patience_;
  bool is_first_ = true;
  HungThread* found_ = nullptr;
};

void report(const HungThread& thread, uint32_t seconds) {
  log(LogLevel::kWarning, "hung task: {} ({}) sleeps uninterruptibly since {} seconds", StringView(thread.name), thread.id, seconds);
  if (thread.wanted.lock)
    log(LogLevel::kWarning, "it waits for {}, which {} holds", lock_rank_name(thread.wanted.rank), thread.holder);
  else
    log(LogLevel::kWarning, "it waits for no lock: nobody has woken it");
  log_stack("asleep at:", thread.stack);
}

void watch_for_ever(void*) {
  const uint32_t patience = boot_option_number("hung_task", kHungSeconds);
  HungTaskSearch search(patience);
  for (;;) {
    ignore_result(block(SleepKind::kUninterruptible, Deadline{clock_monotonic() + kSecond}));  // ends by time or spuriously
    for (LongHold hold; lock_long_hold_take(hold);) {
      log(LogLevel::kWarning, "lock held too long: {} for {} microseconds", lock_rank_name(hold.rank),
          static_cast<uint32_t>(hold.cycles * 1000 / clock_cycles_kilohertz()));
      log_stack("taken at:", hold.taken);
      log_stack("let go at:", hold.released);
    }
    search.begin();
    for (HungThread hung; search.look(hung);) report(hung, patience);
  }
}

}  // namespace

void watchdog_start() {
  lock_hold_limit = uint64_t{boot_option_number("lock_hold", kHoldMilliseconds)} * clock_cycles_kilohertz();
  if (!kernel_thread_create("watchdog", watch_for_ever, nullptr).ok()) PANIC("no memory for the kernel's own threads");
}

}  // namespace faultline

#endif
