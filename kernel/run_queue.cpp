// Run queues: see run_queue.h.
#include "kernel/run_queue.h"

#include <algorithm>
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
constexpr uint32_t kIdleFactor = 1024 * 1024 / 3;  // SCHED_IDLE's weight is 3 on Linux, where nice 0 has 1024
constexpr uint32_t kTicksBetweenTurns = 8;

}  // namespace

constinit std::array<RunQueue, kMaxCpus> run_queues;
constinit uint64_t RunQueue::sleeper_credit = 0, RunQueue::wake_granularity = 0;

void RunQueue::initialize(uint32_t its_cpu) {
  constexpr uint64_t kSleeperCredit = 3'000'000, kWakeGranularity = 1'000'000;  // nanoseconds
  sleeper_credit = clock_cycles_of(kSleeperCredit);
  wake_granularity = clock_cycles_of(kWakeGranularity);
  cpu = its_cpu;
  minimum_runtime = sleeper_credit;
  ready.construct();
  urgent.construct();
}

uint32_t runtime_factor(SchedulingPolicy policy, int nice) {
  return policy == SchedulingPolicy::kIdle ? kIdleFactor : kFactors[static_cast<size_t>(nice + 20)];
}

// Behind those of equal priority, but before them if it was pre-empted.
void RunQueue::insert_urgent(Thread& thread) {
  bool goes_first = thread.slice_used != 0 && !thread.gives_way;
  thread.gives_way = false;
  if (!goes_first) thread.slice_used = 0;
  Thread* before = urgent->front();
  while (before && (before->priority > thread.priority || (before->priority == thread.priority && !goes_first)))
    before = urgent->next(*before);
  if (before)
    urgent->insert_before(*before, thread);
  else
    urgent->push_back(thread);
  note_most_urgent();
}

void RunQueue::note_most_urgent() {
  const Thread* first = urgent->front();
  waiting_priority.store(first ? first->priority : 0, memory_order_relaxed);
}

// A fair thread that has had less than the last, in its place.
void RunQueue::insert_before_last(Thread& thread) {
  Thread* before = ready->back();
  for (Thread* previous = ready->previous(*before); previous && previous->virtual_runtime > thread.virtual_runtime;
       previous = ready->previous(*before))
    before = previous;
  ready->insert_before(*before, thread);
}

void RunQueue::charge_otherwise(Thread& thread, uint64_t ran, uint64_t now) {
  if (&thread == idle) return;
  thread.virtual_runtime += (ran * thread.time_factor) >> 10;
  if (thread.priority != 0) charge_real_time(thread, ran, now);
}

void RunQueue::charge_and_advance(Thread& thread, uint64_t now) {
  charge(thread, now);
  if (&thread == idle || thread.priority != 0) return;
  const Thread* first = ready->front();
  advance_minimum(first && first->virtual_runtime < thread.virtual_runtime ? first->virtual_runtime : thread.virtual_runtime);
}

void RunQueue::charge_real_time(Thread& thread, uint64_t ran, uint64_t now) {
  if (clock_nanoseconds_of(now - real_time_start) >= kRealTimePeriod) {
    real_time_start = now;
    real_time_used = 0;
  }
  auto most = static_cast<uint32_t>(std::min<uint64_t>(clock_nanoseconds_of(ran), kRealTimePeriod));
  real_time_used = std::min(real_time_used + most, kRealTimePeriod);
  thread.slice_used = std::min(thread.slice_used + most, kRealTimePeriod) | 1;  // not 0: it has run
  if (thread.policy == SchedulingPolicy::kRoundRobin && thread.slice_used >= kRoundRobinSlice) thread.gives_way = true;
}

bool RunQueue::pre_empts_otherwise(const Thread& newcomer, const Thread& running) const {
  if (&running == idle) return true;
  if ((newcomer.priority | running.priority) != 0) return newcomer.priority > running.priority && !is_throttled(charged_until);
  return running.policy == SchedulingPolicy::kIdle && newcomer.policy != SchedulingPolicy::kIdle;
}

namespace {

Thread* first_allowed(List<Thread, RunQueueTag>& list, uint32_t cpu) {
  for (Thread& thread : list)
    if (thread.allowed_cpus & cpu_bit(cpu)) return &thread;
  return nullptr;
}

// Moves the first thread that may run there; false if there is none, or the queue is locked.
bool pull(RunQueue& from, uint32_t here) NO_THREAD_SAFETY_ANALYSIS {
  // Who looks for work does not stand in line, with interrupts off, before those who have some: in an emulator the next in line may be a
  // processor that the host does not run just now, and all behind it wait as long.
  if (from.lock.is_locked()) return false;
  from.lock.lock_masked();
  Thread* thread = first_allowed(*from.urgent, here);
  if (!thread) thread = first_allowed(*from.ready, here);
  if (!thread) {
    from.lock.unlock_masked();
    return false;
  }
  from.remove(*thread);
  from.make_relative(*thread);
  thread->cpu.store(here, memory_order_release);
  from.lock.unlock_masked();
  RunQueue& to = run_queues[here];
  to.lock.lock_masked();
  to.make_absolute(*thread);
  to.insert(*thread);
  if (to.pre_empts(*thread, *to.current.load(memory_order_relaxed))) machine::set_need_reschedule(1);
  to.lock.unlock_masked();
  return true;
}

// The CPU where a thread waits that is the most urgent of all and more so than `least`; kMaxCpus: nowhere.
uint32_t most_urgent_elsewhere(uint32_t here, uint8_t least) {
  uint32_t victim = kMaxCpus;
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) {
    uint8_t waiting = run_queues[cpu].waiting_priority.load(memory_order_relaxed);
    if (cpu != here && waiting > least) victim = cpu, least = waiting;
  }
  return victim;
}

uint32_t longest_elsewhere(uint32_t here) {
  uint32_t victim = here, most = 0;
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) {
    uint32_t waiting = run_queues[cpu].ready_count.load(memory_order_relaxed);
    if (cpu != here && waiting > most) victim = cpu, most = waiting;
  }
  return victim;
}

}  // namespace

void run_queue_steal(uint32_t here) {
  uint32_t victim = most_urgent_elsewhere(here, 0);
  if (victim == kMaxCpus) victim = longest_elsewhere(here);
  if (victim != here) pull(run_queues[victim], here);
}

void run_queue_balance(uint32_t here) {
  RunQueue& own = run_queues[here];
  uint8_t least = std::max(own.running_priority.load(memory_order_relaxed), own.waiting_priority.load(memory_order_relaxed));
  uint32_t victim = most_urgent_elsewhere(here, least);
  if (victim == kMaxCpus) {
    victim = longest_elsewhere(here);
    uint32_t more = run_queues[victim].ready_count.load(memory_order_relaxed) - own.ready_count.load(memory_order_relaxed);
    bool is_turn = ++own.ticks % kTicksBetweenTurns == 0;
    if (static_cast<int32_t>(more) < (is_turn ? 1 : 2)) return;
  }
  if (victim != here) pull(run_queues[victim], here);
}

}  // namespace faultline
