// The scheduler. A thread is on at most one CPU; `wake` and `block` meet under the lock of the run queue that the thread belongs to,
// which a switch holds until the old thread's registers are saved: whoever finds a thread asleep may run it elsewhere at once.
// A lock that one thread takes and another lets go of is more than clang's analysis can follow; hence NO_THREAD_SAFETY_ANALYSIS.
#include "kernel/scheduler.h"

#include <array>

#include "arch/clock.h"
#include "arch/interrupt.h"
#include "kernel/log.h"
#include "kernel/process.h"
#include "kernel/run_queue.h"
#include "kernel/scheduler_internal.h"
#include "kernel/timer.h"
#include "mm/space.h"

namespace faultline {

namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kTick = 10 * kMillisecond;  // while a thread runs: ends its slice if others are ready, samples its time

constinit Atomic<CpuMask> idle_cpus{0};  // whoever takes a bit out may send a thread there

RunQueue& this_queue() { return *static_cast<RunQueue*>(machine::run_queue_pointer()); }

// Idle threads are kernel threads.
void save_state_of(RunQueue& queue, Thread& previous) {
  if (!previous.is_kernel_thread()) return float_state_save(previous.float_state);
  if (&previous == queue.idle) idle_cpus.fetch_and(~cpu_bit(queue.cpu), memory_order_relaxed);
}

void load_state_of(RunQueue& queue, Thread& next) {
  machine::set_current_thread_pointer(&next);
  if (next.is_kernel_thread()) {  // runs with whatever space and registers are loaded
    if (&next == queue.idle) idle_cpus.fetch_or(cpu_bit(queue.cpu), memory_order_relaxed);
    return;
  }
  if (next.space) next.space->activate();  // costs nothing if it is loaded
  context_load(next.stack_top, next.tls);
  float_state_restore(next.float_state);
}

// The running thread's new state has been set; the queue is locked, interrupts are off. Returns, perhaps much later and on
// another CPU, when it is chosen again; the caller calls finish_switch().
void switch_away(RunQueue& queue) NO_THREAD_SAFETY_ANALYSIS {
  Thread& previous = running_thread();
  uint64_t now = clock_cycles();
  queue.charge(previous, now);
  machine::set_need_reschedule(0);
  bool was_pre_empted = previous.state == ThreadState::kRunning;
  if (was_pre_empted) {
    previous.state = ThreadState::kRunnable;
    if (&previous != queue.idle) queue.insert(previous);
  }
  Thread* next = queue.take_first(now);
  if (!next) [[unlikely]]
    next = queue.idle;
  next->state = ThreadState::kRunning;
  if (next == &previous) return;
  if (was_pre_empted) previous.involuntary_switches++;
  queue.switches++;
  queue.current.store(next, memory_order_relaxed);
  queue.running_priority.store(next->priority, memory_order_relaxed);
  save_state_of(queue, previous);
  load_state_of(queue, *next);
  context_switch(previous.context, next->context);
}

// The first thread after a time without starts the tick again; an ended one goes.
[[gnu::noinline]] void finish_special_switch(RunQueue& queue) NO_THREAD_SAFETY_ANALYSIS {
  Thread* dead = std::exchange(queue.dead, nullptr);
  bool needs_tick = queue.tick_deadline == 0 && queue.current.load(memory_order_relaxed) != queue.idle;
  if (needs_tick) queue.tick_deadline = clock_monotonic() + kTick;
  uint64_t tick = queue.tick_deadline;
  queue.lock.unlock_masked();
  if (needs_tick) timer_arm_slice(tick);
  if (dead) thread_ended(dead);
}

// Whoever comes back from switch_away() lets go of the queue that it was chosen from.
inline void finish_switch() NO_THREAD_SAFETY_ANALYSIS {
  RunQueue& queue = this_queue();
  if (queue.dead || queue.tick_deadline == 0) [[unlikely]]
    return finish_special_switch(queue);
  queue.lock.unlock_masked();
}

void reschedule() NO_THREAD_SAFETY_ANALYSIS {
  RunQueue& queue = this_queue();
  queue.lock.lock_masked();
  switch_away(queue);
  finish_switch();
}

// For a real-time thread, when no CPU is idle: the one whose thread is least urgent, best `preferred`.
uint32_t least_urgent_cpu(const Thread& thread, uint32_t preferred) {
  uint32_t best = preferred;
  auto running_on = [&](uint32_t cpu) { return run_queues[cpu].running_priority.load(memory_order_relaxed); };
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++)
    if ((thread.allowed_cpus & cpu_bit(cpu)) && running_on(cpu) < running_on(best)) best = cpu;
  return best;
}

// Where the thread shall run: on an idle CPU that nobody else has sent a thread to yet, best the one it was on, or there.
uint32_t choose_cpu(const Thread& thread, uint32_t preferred) {
  CpuMask candidates = idle_cpus.load(memory_order_relaxed) & thread.allowed_cpus;
  while (candidates != 0) {
    CpuMask bit = candidates & cpu_bit(preferred) ? cpu_bit(preferred) : candidates & -candidates;
    if (idle_cpus.fetch_and(~bit, memory_order_relaxed) & bit) return static_cast<uint32_t>(__builtin_ctz(bit));
    candidates &= ~bit;
  }
  if (thread.allowed_cpus & cpu_bit(preferred)) [[likely]]
    return thread.priority == 0 ? preferred : least_urgent_cpu(thread, preferred);
  CpuMask allowed = thread.allowed_cpus & (cpu_bit(cpu_count()) - 1);
  return allowed ? static_cast<uint32_t>(__builtin_ctz(allowed)) : preferred;
}

// The thread, on no queue, belongs to the one returned from now on, which is locked instead of `from`.
[[gnu::noinline]] RunQueue& choose_queue(Thread& thread, RunQueue& from) NO_THREAD_SAFETY_ANALYSIS {
  uint32_t cpu = choose_cpu(thread, from.cpu);
  if (cpu == from.cpu) return from;
  from.make_relative(thread);
  thread.cpu.store(cpu, memory_order_release);
  from.lock.unlock_masked();
  RunQueue& queue = run_queues[cpu];
  queue.lock.lock_masked();
  queue.make_absolute(thread);
  return queue;
}

// scheduler_place(), for wake_sleeper() to have inline.
[[gnu::always_inline]] inline void place(Thread& thread, RunQueue& from) NO_THREAD_SAFETY_ANALYSIS {
  bool may_stay = thread.priority == 0 && idle_cpus.load(memory_order_relaxed) == 0 && (thread.allowed_cpus & cpu_bit(from.cpu));
  RunQueue& queue = may_stay ? from : choose_queue(thread, from);
  thread.slice_used = 0;
  queue.limit_credit(thread);
  queue.insert(thread);
  // It pre-empts what runs there, or waits for the end of the slice.
  if (queue.pre_empts(thread, *queue.current.load(memory_order_relaxed))) {
    if (&queue != &this_queue())
      cpu_kick(queue.cpu);
    else
      machine::set_need_reschedule(1);
  }
  queue.lock.unlock_masked();
}

struct SleepTimer final : Timer {
  explicit SleepTimer(Thread& sleeper) : Timer(&expired), thread(sleeper) {}
  static void expired(Timer& timer) {
    auto& self = static_cast<SleepTimer&>(timer);
    self.has_fired.store(true, memory_order_relaxed);
    wake(self.thread);
  }
  Thread& thread;
  Atomic<bool> has_fired{false};
};

// Sleeps until somebody gives the permit, which is used up.
inline void sleep_until_permit(Thread& self, SleepKind kind) NO_THREAD_SAFETY_ANALYSIS {
  machine::interrupts_disable();
  RunQueue& queue = this_queue();
  queue.lock.lock_masked();
  if (!self.permit.load(memory_order_seq_cst)) [[likely]] {
    self.sleep_kind = kind;
    self.state = ThreadState::kSleeping;
    self.voluntary_switches++;
    switch_away(queue);
    finish_switch();
  } else {
    queue.lock.unlock_masked();
  }
  machine::interrupts_enable();
  self.permit.store(false, memory_order_seq_cst);
}

[[gnu::noinline]] Result<void> sleep_until_permit_or(Deadline deadline, Thread& self, SleepKind kind) {
  if (self.permit.exchange(false, memory_order_seq_cst)) return {};
  if (clock_monotonic() >= deadline.nanoseconds) return Errno::kTIMEDOUT;
  SleepTimer timer(self);
  timer.set(deadline.nanoseconds);
  sleep_until_permit(self, kind);
  timer.cancel();
  self.permit.store(false, memory_order_seq_cst);  // the timer may have given it once more
  return timer.has_fired.load(memory_order_relaxed) ? Errno::kTIMEDOUT : Result<void>();
}

}  // namespace

void scheduler_place(Thread& thread, RunQueue& from) { place(thread, from); }

void scheduler_finish_switch() { finish_switch(); }

// ---------------------------------------------------------------- lib/scheduling.h

Thread* current_thread() { return static_cast<Thread*>(machine::current_thread_pointer()); }

Result<void> block(SleepKind kind, Deadline deadline) {
  Thread& self = running_thread();
  lock_order_assert_may_sleep();
  DEBUG_ASSERT(machine::preemption_depth() == 0 && machine::interrupts_enabled() && &self != this_queue().idle);
  // Without work no signal is there for it; process_begin_exit() leaves its own caller without.
  bool may_be_interrupted =
      kind == SleepKind::kKillable || (kind == SleepKind::kInterruptible && (self.work.load(memory_order_relaxed) & kWorkSignal));
  if (may_be_interrupted && sleep_is_interrupted(kind))
    return self.permit.exchange(false, memory_order_seq_cst) ? Result<void>() : Errno::kINTR;
  if (!deadline.is_never()) return sleep_until_permit_or(deadline, self, kind);
  sleep_until_permit(self, kind);
  return {};
}

namespace {
[[gnu::noinline]] void wake_sleeper(Thread& thread) NO_THREAD_SAFETY_ANALYSIS {
  uint32_t state = machine::interrupts_save_and_disable();
  RunQueue& queue = run_queue_lock_of(thread);
  if (thread.state == ThreadState::kSleeping) {
    thread.state = ThreadState::kRunnable;
    place(thread, queue);
  } else {
    queue.lock.unlock_masked();
  }
  machine::interrupts_restore(state);
  // A more urgent thread on this CPU runs at once, unless a lock or an interrupt handler is in the way: those look when they end.
  if (machine::need_reschedule() && (state & 0x200) != 0 && machine::preemption_depth() == 0) machine::preemption_point();
}
}  // namespace

void wake(Thread& thread) {
  if (!thread.permit.exchange(true, memory_order_seq_cst)) wake_sleeper(thread);
}

void scheduler_run_next(Thread& thread) NO_THREAD_SAFETY_ANALYSIS {
  if (thread.permit.exchange(true, memory_order_seq_cst)) return;
  InterruptGuard interrupts_off;
  RunQueue& from = run_queue_lock_of(thread);
  if (thread.state != ThreadState::kSleeping) return from.lock.unlock_masked();
  RunQueue& here = this_queue();
  if ((thread.priority | running_thread().priority) != 0 || !(thread.allowed_cpus & cpu_bit(here.cpu))) [[unlikely]] {
    thread.state = ThreadState::kRunnable;
    return place(thread, from);
  }
  if (&from != &here) {
    from.make_relative(thread);
    thread.cpu.store(here.cpu, memory_order_release);
    from.lock.unlock_masked();
    here.lock.lock_masked();
    here.make_absolute(thread);
  }
  thread.state = ThreadState::kRunnable;
  here.limit_credit(thread);
  here.set_successor(thread);
  here.lock.unlock_masked();
}

void scheduler_keep_running() NO_THREAD_SAFETY_ANALYSIS {
  InterruptGuard interrupts_off;
  RunQueue& queue = this_queue();
  queue.lock.lock_masked();
  if (!queue.successor) return queue.lock.unlock_masked();
  place(*queue.take_successor(), queue);
}

void scheduler_run_now(Thread& thread) {
  if (idle_cpus.load(memory_order_relaxed) & thread.allowed_cpus) return wake(thread);
  scheduler_run_next(thread);
  machine::set_need_reschedule(1);
}

void yield() NO_THREAD_SAFETY_ANALYSIS {
  DEBUG_ASSERT(machine::interrupts_enabled());
  machine::interrupts_disable();
  RunQueue& queue = this_queue();
  if (queue.ready_count.load(memory_order_relaxed) != 0) {
    queue.lock.lock_masked();
    running_thread().gives_way = true;
    switch_away(queue);
    finish_switch();
  }
  machine::interrupts_enable();
}

void machine::preempt_interrupted() { reschedule(); }

void machine::preemption_point() {
  if (!machine::interrupts_enabled()) return;
  InterruptGuard interrupts_off;
  if (machine::need_reschedule() && machine::preemption_depth() == 0) preempt_interrupted();
}

// ---------------------------------------------------------------- kernel/scheduler.h

void scheduler_initialize() {
  uint32_t cpu = this_cpu();
  RunQueue& queue = run_queues[cpu];
  queue.initialize(cpu);
  machine::set_run_queue_pointer(&queue);
  if (cpu == 0) thread_cache_initialize();
  Result<Thread*> idle = Thread::create_boot();
  if (!idle.ok()) PANIC("no memory for an idle thread");
  queue.idle = idle.value();
  queue.idle->cpu.store(cpu, memory_order_relaxed);
  queue.idle->state = ThreadState::kRunning;
  queue.idle->allowed_cpus = cpu_bit(cpu);
  queue.idle->policy = SchedulingPolicy::kIdle;
  queue.idle->time_factor = 0;
  memcpy(queue.idle->name, "idle", 5);
  queue.current.store(queue.idle, memory_order_relaxed);
  machine::set_current_thread_pointer(queue.idle);
  machine::preemption_enable();  // a CPU starts with it disabled, having nobody to be pre-empted by
}

void scheduler_start(Thread& thread) NO_THREAD_SAFETY_ANALYSIS {
  InterruptGuard interrupts_off;
  RunQueue& queue = this_queue();
  Thread& self = *queue.current.load(memory_order_relaxed);
  queue.lock.lock_masked();
  thread.cpu.store(queue.cpu, memory_order_relaxed);
  thread.state = ThreadState::kRunnable;
  thread.virtual_runtime = self.virtual_runtime > queue.minimum_runtime ? self.virtual_runtime : queue.minimum_runtime;
  scheduler_place(thread, queue);
}

void scheduler_exit() NO_THREAD_SAFETY_ANALYSIS {
  (void)machine::interrupts_save_and_disable();
  RunQueue& queue = this_queue();
  queue.lock.lock_masked();
  Thread& self = running_thread();
  self.state = ThreadState::kDead;
  queue.dead = &self;
  switch_away(queue);
  PANIC("an ended thread ran again");
}

void scheduler_switch_space(AddressSpace* space) {
  InterruptGuard interrupts_off;
  running_thread().space = space;
  if (space)
    space->activate();
  else
    AddressSpace::deactivate();
}

void scheduler_enter_cpu() {
  (void)machine::interrupts_save_and_disable();
  uint32_t cpu = this_cpu();
  RunQueue& queue = run_queues[cpu];
  queue.charged_until = clock_cycles();
  for (;;) {
    if (queue.ready_count.load(memory_order_relaxed) == 0) run_queue_steal(cpu);
    if (queue.ready_count.load(memory_order_relaxed) != 0) {
      reschedule();
      continue;
    }
    idle_cpus.fetch_or(cpu_bit(cpu), memory_order_relaxed);  // somebody may have claimed it without need
    machine::set_need_reschedule(0);
    cpu_idle();
  }
}

void kernel_timer_interrupt() {
  timers_run_expired();
  log_wake_readers();
  RunQueue& queue = this_queue();
  uint64_t now = clock_monotonic();
  if (queue.tick_deadline == 0 || now < queue.tick_deadline) return;
  queue.tick_deadline = 0;
  Thread& self = *queue.current.load(memory_order_relaxed);
  if (&self == queue.idle) return;
  // The trap frame at the stack's top is this interrupt's if it came from user mode.
  bool in_user = !self.is_kernel_thread() && self.frame().vector >= 32 && !self.frame().is_system_call();
  (in_user ? self.user_ticks : self.kernel_ticks)++;
  (in_user ? queue.user_ticks : queue.kernel_ticks)++;
  if (!self.is_kernel_thread()) process_tick(self.process());
  queue.tick_deadline = now + kTick;
  timer_arm_slice(queue.tick_deadline);
  {
    InterruptLockGuard guard(queue.lock);
    queue.charge_and_advance(self, clock_cycles());
  }
  if (cpu_count() > 1) run_queue_balance(this_cpu());
  if (queue.ready_count.load(memory_order_relaxed) != 0) machine::set_need_reschedule(1);
}

}  // namespace faultline
