// What can be set in the scheduler: policies, priorities, allowed CPUs.
#include "arch/clock.h"
#include "kernel/run_queue.h"
#include "kernel/scheduler.h"

namespace faultline {

void scheduler_set_policy(Thread& thread, SchedulingPolicy policy, int nice) NO_THREAD_SAFETY_ANALYSIS {
  InterruptGuard interrupts_off;
  RunQueue& queue = run_queue_lock_of(thread);
  if (queue.current.load(memory_order_relaxed) == &thread) queue.charge(thread, queue.time_here());
  thread.policy = policy;
  thread.nice = static_cast<int8_t>(nice);
  thread.time_factor = runtime_factor(policy, nice);
  thread.slice_used = 0;
  queue.lock.unlock_masked();
}

void scheduler_set_nice(Thread& thread, int nice) { scheduler_set_policy(thread, thread.policy, nice); }

namespace {

bool is_queued(Thread& thread) { return static_cast<ListNode<RunQueueTag>&>(thread).is_linked(); }

void ask_to_reschedule(uint32_t cpu) {
  if (cpu == this_cpu())
    machine::set_need_reschedule(1);
  else
    cpu_kick(cpu);
}

}  // namespace

void scheduler_set_priority(Thread& thread, uint8_t priority) NO_THREAD_SAFETY_ANALYSIS {
  InterruptGuard interrupts_off;
  RunQueue& queue = run_queue_lock_of(thread);
  Thread& running = *queue.current.load(memory_order_relaxed);
  if (thread.state != ThreadState::kDead && is_queued(thread)) {
    queue.remove(thread);
    thread.priority = priority;
    queue.insert(thread);
    if (queue.pre_empts(thread, running)) ask_to_reschedule(queue.cpu);
  } else {
    if (&thread == &running) {
      queue.charge(thread, queue.time_here());
      queue.running_priority.store(priority, memory_order_relaxed);
      if (priority < thread.priority) ask_to_reschedule(queue.cpu);
    }
    thread.priority = priority;
  }
  queue.lock.unlock_masked();
}

void scheduler_set_allowed(Thread& thread, CpuMask allowed) NO_THREAD_SAFETY_ANALYSIS {
  InterruptGuard interrupts_off;
  RunQueue& queue = run_queue_lock_of(thread);
  thread.allowed_cpus = allowed;
  bool must_move = !(allowed & cpu_bit(queue.cpu));
  if (must_move && thread.state == ThreadState::kRunnable && is_queued(thread)) {
    queue.remove(thread);
    scheduler_place(thread, queue);
    return;
  }
  queue.lock.unlock_masked();
  // A sleeper is placed when it wakes; who runs moves by itself, on its way to user mode.
  if (!must_move) return;
  thread.add_work(kWorkMove);
  ask_to_reschedule(queue.cpu);
}

void scheduler_move_self() {
  // A sleep for a moment: waking up is when a CPU is chosen.
  constexpr uint64_t kMoment = 50'000;
  Thread& self = running_thread();
  self.clear_work(kWorkMove);
  while (!(self.allowed_cpus & cpu_bit(this_cpu())))
    ignore_result(block(SleepKind::kUninterruptible, Deadline{clock_monotonic() + kMoment}));  // only the sleep matters
}

}  // namespace faultline
