// One CPU's run queue. Threads that are ready stand in order of virtual runtime; the one that runs is not in the list.
#pragma once

#include <array>

#include "kernel/thread.h"
#include "lib/late.h"
#include "lib/list.h"
#include "lib/lock.h"

namespace faultline {

struct alignas(64) RunQueue {
  // Also guards the scheduling fields of the threads whose `cpu` this is. Held across a switch: the next thread lets go of it.
  InterruptSpinLock<LockRank::kRunQueue> lock;
  Late<List<Thread, RunQueueTag>> ready;  // GUARDED_BY(lock)
  Atomic<uint32_t> ready_count{0};        // written under the lock
  Atomic<Thread*> current{nullptr};
  Thread* idle = nullptr;
  Thread* dead = nullptr;        // just left for ever; its successor gives it back
  uint64_t minimum_runtime = 0;  // never goes back; where sleepers and newcomers enter
  uint64_t tick_deadline = 0;    // when the CPU's next tick is due; 0: none is. Interrupts off
  uint64_t switches = 0, idle_time = 0, user_ticks = 0, kernel_ticks = 0;

  void insert(Thread& thread) REQUIRES(lock);
  void remove(Thread& thread) REQUIRES(lock);
  // A thread that leaves this queue, or joins it, keeps its distance from the minimum: virtual runtimes of two queues do not compare.
  void make_relative(Thread& thread) const REQUIRES(lock) {
    thread.virtual_runtime = thread.virtual_runtime > minimum_runtime ? thread.virtual_runtime - minimum_runtime : 0;
  }
  void make_absolute(Thread& thread) const REQUIRES(lock) { thread.virtual_runtime += minimum_runtime; }
  // Charges the running thread up to `now`.
  void charge(Thread& thread, uint64_t now) REQUIRES(lock);
};

extern std::array<RunQueue, kMaxCpus> run_queues;

// Locks the run queue that `thread` belongs to. Interrupts are off already, and stay off: unlock(0).
inline RunQueue& run_queue_lock_of(const Thread& thread) NO_THREAD_SAFETY_ANALYSIS {
  for (;;) {
    uint32_t cpu = thread.cpu.load(memory_order_acquire);
    RunQueue& queue = run_queues[cpu];
    (void)queue.lock.lock();
    if (thread.cpu.load(memory_order_relaxed) == cpu) [[likely]]
      return queue;
    queue.lock.unlock(0);
  }
}
// For a CPU that has nothing to do: takes the first thread that may run there from the CPU that has most waiting. Interrupts off,
// no queue locked.
void run_queue_steal(uint32_t here);

// How fast virtual time passes for a nice value, in 1024ths: 25 % more for each step.
uint32_t runtime_factor(int nice);

}  // namespace faultline
