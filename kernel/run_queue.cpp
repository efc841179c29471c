// Run queues: see run_queue.h.
#include "kernel/run_queue.h"

#include <array>

#include "arch/cpu.h"

namespace faultline {

namespace {

constexpr std::array<uint32_t, 40> make_factors() {
  std::array<uint32_t, 40> factors{};
  factors[20] = 1024;
  for (size_t i = 20; i > 0; i--) factors[i - 1] = factors[i] * 4 / 5;
  for (size_t i = 20; i < 39; i++) factors[i + 1] = factors[i] * 5 / 4;
  return factors;
}
constexpr std::array<uint32_t, 40> kFactors = make_factors();
static_assert(kFactors[0] > 0 && kFactors[39] < 1u << 17);

}  // namespace

constinit std::array<RunQueue, kMaxCpus> run_queues;

uint32_t runtime_factor(int nice) { return kFactors[static_cast<size_t>(nice + 20)]; }

void RunQueue::insert(Thread& thread) {
  Thread* after = ready->back();
  if (!after) [[likely]] {
    ready->push_back(thread);
    ready_count.store(1, memory_order_relaxed);
    return;
  }
  while (after && after->virtual_runtime > thread.virtual_runtime) after = ready->previous(*after);
  Thread* before = after ? ready->next(*after) : ready->front();
  if (before)
    ready->insert_before(*before, thread);
  else
    ready->push_back(thread);
  ready_count.store(ready_count.load(memory_order_relaxed) + 1, memory_order_relaxed);
}

void RunQueue::remove(Thread& thread) {
  ready->remove(thread);
  ready_count.store(ready_count.load(memory_order_relaxed) - 1, memory_order_relaxed);
}

void RunQueue::charge(Thread& thread, uint64_t now) {
  uint64_t ran = now - thread.started_running;
  thread.started_running = now;
  thread.run_time += ran;
  if (&thread == idle) {
    idle_time += ran;
    return;
  }
  thread.virtual_runtime += thread.nice == 0 ? ran : (ran * runtime_factor(thread.nice)) >> 10;
  uint64_t least = thread.virtual_runtime;
  if (const Thread* first = ready->front(); first && first->virtual_runtime < least) least = first->virtual_runtime;
  if (least > minimum_runtime) minimum_runtime = least;
}

void run_queue_steal(uint32_t here) NO_THREAD_SAFETY_ANALYSIS {
  uint32_t victim = here, most = 0;
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) {
    uint32_t waiting = run_queues[cpu].ready_count.load(memory_order_relaxed);
    if (cpu != here && waiting > most) victim = cpu, most = waiting;
  }
  if (most == 0) return;
  RunQueue& from = run_queues[victim];
  // Who has nothing to do does not stand in line, with interrupts off, before those who have: in an emulator the next in line may be a
  // processor that the host does not run just now, and all behind it wait as long.
  if (from.lock.is_locked()) return;
  (void)from.lock.lock();
  for (Thread& thread : *from.ready) {
    if (!(thread.allowed_cpus & cpu_bit(here))) continue;
    from.remove(thread);
    from.make_relative(thread);
    thread.cpu.store(here, memory_order_release);
    from.lock.unlock(0);
    RunQueue& to = run_queues[here];
    (void)to.lock.lock();
    to.make_absolute(thread);
    to.insert(thread);
    to.lock.unlock(0);
    return;
  }
  from.lock.unlock(0);
}

}  // namespace faultline
