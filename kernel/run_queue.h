// One CPU's run queue. Real-time threads that are ready stand in order of priority, before all others, which stand in order of virtual
// runtime; the one that runs is in no list. Times are in cycles of the processor's counter, which is read at every switch; who wants to know
// gets nanoseconds.
//
// Real-time threads get at most kRealTimeBudget of every kRealTimePeriod while others are ready: a shell on a machine whose real-time
// threads never sleep is slow, but it can kill them.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "arch/clock.h"
#include "kernel/thread.h"
#include "lib/late.h"
#include "lib/list.h"
#include "lib/lock.h"

namespace faultline {

inline constexpr uint32_t kUnitFactor = 1024;

struct alignas(64) RunQueue {
  // Also guards the scheduling fields of the threads whose `cpu` this is. Held across a switch: the next thread lets go of it.
  InterruptSpinLock<LockRank::kRunQueue> lock;
  Late<List<Thread, RunQueueTag>> ready;   // fair ones; GUARDED_BY(lock)
  Late<List<Thread, RunQueueTag>> urgent;  // real-time ones; GUARDED_BY(lock)
  Atomic<uint32_t> ready_count{0};         // of both; written under the lock
  // Of who runs, and the highest of those who wait: a hint for CPUs that look for work, and where to place it.
  Atomic<uint8_t> running_priority{0}, waiting_priority{0};
  Atomic<Thread*> current{nullptr};
  Thread* successor = nullptr;  // runs next, whatever the others have had: a ready one that stands in no list. Fair
  Thread* idle = nullptr;
  Thread* dead = nullptr;        // just left for ever; its successor gives it back
  uint64_t charged_until = 0;    // for what came since, the running thread has still to be charged
  uint64_t minimum_runtime = 0;  // never goes back; where sleepers and newcomers enter
  uint64_t tick_deadline = 0;    // monotonic nanoseconds at which the CPU's next tick is due; 0: none is. Interrupts off
  uint64_t real_time_start = 0;  // of the period in which real-time threads have used real_time_used nanoseconds
  uint32_t real_time_used = 0;
  uint32_t ticks = 0;
  uint32_t cpu = 0;  // whose it is
  uint64_t switches = 0, user_ticks = 0, kernel_ticks = 0;

  static constexpr uint32_t kRealTimePeriod = 1'000'000'000, kRealTimeBudget = 950'000'000;  // nanoseconds, as Linux's defaults
  static constexpr uint32_t kRoundRobinSlice = 100'000'000;                                  // nanoseconds
  static uint64_t sleeper_credit;    // how far a thread that slept may be behind the others
  static uint64_t wake_granularity;  // how far a woken thread must be behind to pre-empt

  // Boot, before there are threads.
  void initialize(uint32_t its_cpu);

  void insert(Thread& thread) REQUIRES(lock) {
    ready_count.store(ready_count.load(memory_order_relaxed) + 1, memory_order_relaxed);
    if (thread.priority != 0) [[unlikely]]
      return insert_urgent(thread);
    const Thread* last = ready->back();
    if (last && last->virtual_runtime > thread.virtual_runtime) {
      if (!thread.gives_way) return insert_before_last(thread);
      thread.virtual_runtime = last->virtual_runtime;
    }
    thread.gives_way = false;
    ready->push_back(thread);
  }
  void remove(Thread& thread) REQUIRES(lock) {
    ready->remove(thread);  // of either list: a node does not care
    ready_count.store(ready_count.load(memory_order_relaxed) - 1, memory_order_relaxed);
    if (thread.priority != 0) [[unlikely]]
      note_most_urgent();
  }
  Thread* take_successor() REQUIRES(lock) {
    ready_count.store(ready_count.load(memory_order_relaxed) - 1, memory_order_relaxed);
    return std::exchange(successor, nullptr);
  }
  void set_successor(Thread& thread) REQUIRES(lock) {
    if (successor) insert(*take_successor());
    successor = &thread;
    ready_count.store(ready_count.load(memory_order_relaxed) + 1, memory_order_relaxed);
  }
  // Takes out who shall run next; null: nobody is ready.
  Thread* take_first(uint64_t now) REQUIRES(lock) {
    if (successor) [[unlikely]] {
      Thread* thread = take_successor();
      if (urgent->is_empty() && thread->priority == 0) return thread;
      insert(*thread);  // real-time threads are about, or it has become one: it stands in line
    }
    Thread* next = first(now);
    if (!next) return nullptr;
    remove(*next);
    if (next->priority == 0) advance_minimum(next->virtual_runtime);
    return next;
  }

  // The first of those in the lists, or null.
  Thread* first(uint64_t now) REQUIRES(lock) {
    Thread* urgent_one = urgent->front();
    if (!urgent_one) [[likely]]
      return ready->front();
    Thread* fair_one = is_throttled(now) ? ready->front() : nullptr;
    return fair_one ? fair_one : urgent_one;
  }
  bool is_throttled(uint64_t now) const REQUIRES(lock) {
    return real_time_used >= kRealTimeBudget && clock_nanoseconds_of(now - real_time_start) < kRealTimePeriod;
  }
  // Should `newcomer` run instead of who does now?
  bool pre_empts(const Thread& newcomer, const Thread& running) const REQUIRES(lock) {
    static_assert(static_cast<int>(SchedulingPolicy::kOther) == 0);
    int special = newcomer.priority | running.priority | static_cast<int>(newcomer.policy) | static_cast<int>(running.policy);
    if (special == 0) [[likely]]
      return newcomer.virtual_runtime + wake_granularity < running.virtual_runtime;
    return pre_empts_otherwise(newcomer, running);
  }
  // A thread that leaves this queue, or joins it, keeps its distance from the minimum: virtual runtimes of two queues do not compare.
  void make_relative(Thread& thread) const REQUIRES(lock) {
    thread.virtual_runtime = thread.virtual_runtime > minimum_runtime ? thread.virtual_runtime - minimum_runtime : 0;
  }
  void make_absolute(Thread& thread) const REQUIRES(lock) { thread.virtual_runtime += minimum_runtime; }
  // However long it slept, it cannot keep the others waiting for as long.
  void limit_credit(Thread& thread) const REQUIRES(lock) {
    uint64_t least = minimum_runtime - sleeper_credit;
    if (thread.virtual_runtime < least) thread.virtual_runtime = least;
  }
  // Now, for another CPU that asks: its clock may be a little behind.
  uint64_t time_here() const REQUIRES(lock) { return std::max(clock_cycles(), charged_until); }
  // Charges the running thread up to `now`.
  void charge(Thread& thread, uint64_t now) REQUIRES(lock) {
    uint64_t ran = now - charged_until;
    charged_until = now;
    thread.run_time += ran;
    if (thread.time_factor != kUnitFactor || thread.priority != 0) [[unlikely]]
      return charge_otherwise(thread, ran, now);
    thread.virtual_runtime += ran;
  }
  // Nobody who is ready, or runs, has had less than `runtime`.
  void advance_minimum(uint64_t runtime) REQUIRES(lock) {
    if (runtime > minimum_runtime) minimum_runtime = runtime;
  }
  // For the ticks of a thread that runs on: sleepers come back at where the others are.
  void charge_and_advance(Thread& thread, uint64_t now) REQUIRES(lock);

 private:
  void insert_before_last(Thread& thread) REQUIRES(lock);
  void insert_urgent(Thread& thread) REQUIRES(lock);
  void note_most_urgent() REQUIRES(lock);
  bool pre_empts_otherwise(const Thread& newcomer, const Thread& running) const REQUIRES(lock);
  void charge_otherwise(Thread& thread, uint64_t ran, uint64_t now) REQUIRES(lock);
  void charge_real_time(Thread& thread, uint64_t ran, uint64_t now) REQUIRES(lock);
};

extern std::array<RunQueue, kMaxCpus> run_queues;

// Locks the run queue that `thread` belongs to. Interrupts are off already, and stay off: unlock(0).
inline RunQueue& run_queue_lock_of(const Thread& thread) NO_THREAD_SAFETY_ANALYSIS {
  for (;;) {
    uint32_t cpu = thread.cpu.load(memory_order_acquire);
    RunQueue& queue = run_queues.data()[cpu];
    queue.lock.lock_masked();
    if (thread.cpu.load(memory_order_relaxed) == cpu) [[likely]]
      return queue;
    queue.lock.unlock_masked();
  }
}
// Puts a thread that is on no queue (state kRunnable, it belongs to `from`, which is locked) where it shall run; unlocks.
void scheduler_place(Thread& thread, RunQueue& from);
// For a CPU that has nothing to do: takes the first thread that may run there from the CPU that has the most urgent one, or most of them,
// waiting. Interrupts off, no queue locked.
void run_queue_steal(uint32_t here);
// The same for a CPU that is busy, in each of its ticks: an urgent thread that waits elsewhere while a lesser one runs here, or one of the
// others from a CPU that has more of them. With one more, only now and then: three threads on two CPUs take turns in being two.
void run_queue_balance(uint32_t here);

// How fast virtual time passes for a nice value, in 1024ths: 25 % more for each step.
uint32_t runtime_factor(SchedulingPolicy policy, int nice);

}  // namespace faultline
