// /proc/faultline/provoke, in debug builds only: makes a mistake with locks on purpose, so that a test sees how it is reported. The words are in
// docs/concurrency.md.
#include "arch/clock.h"
#include "kernel/proc/contents.h"
#include "lib/mutex.h"

#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG

namespace faultline {

namespace {

struct SleepingPair {
  Mutex<LockRank::kDriver> first;
  Mutex<LockRank::kJournal> second;
};
constinit SpinLock<LockRank::kSignal> spin;

[[gnu::noinline]] void take_in_order(SleepingPair& pair) {
  LockGuard outer(pair.first);
  LockGuard inner(pair.second);
}

[[gnu::noinline]] void take_against_order(SleepingPair& pair) {
  LockGuard outer(pair.second);
  LockGuard inner(pair.first);
}

[[gnu::noinline]] void sleep_under_spin_lock() {
  LockGuard guard(spin);
  ignore_result(block(SleepKind::kKillable, Deadline{clock_monotonic() + 1'000'000}));
}

[[gnu::noinline]] void hold_long() {
  constexpr uint64_t kLong = 500'000'000;
  LockGuard guard(spin);
  for (const uint64_t end = clock_monotonic() + kLong; clock_monotonic() < end;) machine::relax();
}

[[gnu::noinline]] void take_in_interrupt() {
  { LockGuard guard(spin); }
  InterruptGuard interrupts;
  const uint32_t before = lock_order_interrupt_begins();
  { LockGuard guard(spin); }
  lock_order_interrupt_ends(before);
}

// Nobody ever wakes it.
[[gnu::noinline]] void hang() {
  WaitQueue nobody;
  ignore_result(wait_until(nobody, [] { return false; }));
}

Result<void> store_provocation(const ProcContext&, StringView what) {
  if (what == "order") {
    SleepingPair pair;
    take_in_order(pair);
    take_against_order(pair);
    return {};
  }
  if (what == "sleep") return sleep_under_spin_lock(), Result<void>();
  if (what == "hold") return hold_long(), Result<void>();
  if (what == "interrupt") return take_in_interrupt(), Result<void>();
  if (what == "hang") return hang(), Result<void>();
  return Errno::kINVAL;
}

Result<void> show_provocations(const ProcContext&, FormatSink& sink) {
  format(sink, "order sleep hold interrupt hang\n");
  return {};
}

}  // namespace

constinit const ProcNode kProcProvokeNode = {.name = "provoke", .mode = 0100600, .show = &show_provocations, .store = &store_provocation};

}  // namespace faultline

#endif
