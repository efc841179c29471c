// What can be asked of the scheduler: times, load averages.
#include "arch/clock.h"
#include "kernel/run_queue.h"
#include "kernel/scheduler.h"
#include "kernel/timer.h"

namespace faultline {

namespace {

constexpr uint64_t kLoadPeriod = 5'000'000'000;
// exp(-5 s / 1, 5 and 15 min) in 11-bit fractions, as the classic load average has it.
constexpr uint32_t kLoadDecay[3] = {1884, 2014, 2037}, kLoadOne = 2048;

constinit Atomic<uint32_t> load_averages[3] = {};

void sample_load(Timer& timer) {
  uint32_t running = 0;
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) running += scheduler_statistics(cpu).runnable;
  for (int i = 0; i < 3; i++) {
    uint64_t old = load_averages[i].load(memory_order_relaxed);
    uint64_t now = (old * kLoadDecay[i] + (static_cast<uint64_t>(running) << 16) * (kLoadOne - kLoadDecay[i])) / kLoadOne;
    load_averages[i].store(static_cast<uint32_t>(now), memory_order_relaxed);
  }
  timer.set(clock_monotonic() + kLoadPeriod);
}

constinit Late<Timer> load_timer;

}  // namespace

void scheduler_start_load_averages() { load_timer.construct(&sample_load).set(clock_monotonic() + kLoadPeriod); }

void scheduler_load_averages(uint32_t (&loads)[3]) {
  for (int i = 0; i < 3; i++) loads[i] = load_averages[i].load(memory_order_relaxed);
}

namespace {

// Cycles, the present slice included.
uint64_t run_time_locked(const RunQueue& queue, const Thread& thread) REQUIRES(queue.lock) {
  const bool runs = queue.current.load(memory_order_relaxed) == &thread;
  return thread.run_time + (runs ? queue.time_here() - queue.charged_until : 0);
}

}  // namespace

SchedulerStatistics scheduler_statistics(uint32_t cpu) {
  constexpr uint64_t kTickNanoseconds = 10'000'000;
  SchedulerStatistics result;
  RunQueue& queue = run_queues[cpu];
  Thread* current = queue.current.load(memory_order_relaxed);
  if (!current) return result;  // a CPU that is still starting
  InterruptLockGuard guard(queue.lock);
  bool is_idle = queue.current.load(memory_order_relaxed) == queue.idle;
  result.switches = queue.switches;
  result.idle_time = clock_nanoseconds_of(run_time_locked(queue, *queue.idle));
  result.user_time = queue.user_ticks * kTickNanoseconds;
  result.kernel_time = queue.kernel_ticks * kTickNanoseconds;
  result.runnable = queue.ready_count.load(memory_order_relaxed) + (is_idle ? 0 : 1);
  return result;
}

uint64_t scheduler_run_time(const Thread& thread) NO_THREAD_SAFETY_ANALYSIS {
  InterruptGuard interrupts_off;
  RunQueue& queue = run_queue_lock_of(thread);
  const uint64_t cycles = run_time_locked(queue, thread);
  queue.lock.unlock_masked();
  return clock_nanoseconds_of(cycles);
}

}  // namespace faultline
