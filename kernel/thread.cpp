// Threads: making them and giving them back. The stacks of ended threads are kept for the next ones, a few at most.
#include "kernel/thread.h"

#include "fs/descriptor_table.h"
#include "kernel/process.h"
#include "kernel/scheduler.h"
#include "kernel/scheduler_internal.h"
#include "lib/late.h"
#include "mm/frames.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constinit InterruptSpinLock<LockRank::kLeaf> cache_lock;
constinit Late<List<Thread, RunQueueTag>> cached_threads;
uint32_t cached_count GUARDED_BY(cache_lock) = 0;

}  // namespace

// Ended threads, linked through the run queue's node. Only here is a Thread constructed or destroyed.
struct ThreadCache {
  static Thread* take() {
    InterruptLockGuard guard(cache_lock);
    if (cached_count == 0) return nullptr;
    cached_count--;
    return cached_threads->pop_front();
  }

  static void free_stack(Thread& thread) {
    if (thread.stack_top) mmu_unmap_kernel_stack(thread.stack_top);
    for (FrameNumber frame : thread.stack_frames)
      if (!frame.is_none()) frame_free(frame);
  }

  static Result<void> make_stack(Thread& thread) {
    for (FrameNumber& frame : thread.stack_frames) {
      Result<FrameNumber> result = frame_allocate(FrameUse::kKernelStack, Zeroing::kNotNeeded);
      if (!result.ok()) return result.error();
      frame = result.value();
    }
    thread.stack_top = mmu_map_kernel_stack(thread.stack_frames);
    if (!thread.stack_top) return Errno::kNOMEM;
    return {};
  }

  static Result<Thread*> make() {
    if (Thread* old = take()) {
      void* stack_top = old->stack_top;
      auto frames = old->stack_frames;
      old->~Thread();
      Thread* thread = new (old) Thread;
      thread->stack_top = stack_top;
      thread->stack_frames = frames;
      return thread;
    }
    Thread* thread = TRY(slab_new<Thread>());
    Result<void> stack = make_stack(*thread);
    if (stack.ok()) return thread;
    free_stack(*thread);
    slab_delete(thread);
    return stack.error();
  }

  static Result<Thread*> make_without_stack() { return slab_new<Thread>(); }

  static void set_up(Thread& thread, Process* process, void (*entry)(void*), void* argument) {
    ASSERT(static_cast<void*>(&thread) == static_cast<void*>(&thread.work));  // entry code's offset 0
    thread.process_ = process;
    if (process) process->acquire();
    thread.entry_ = entry;
    thread.argument_ = argument;
    context_prepare(thread.context, &thread.frame(), &begin, &thread);
  }

  static void begin(void* self) {
    Thread& thread = *static_cast<Thread*>(self);
    scheduler_finish_switch();
    machine::interrupts_enable();
    thread.entry_(thread.argument_);
    scheduler_exit();
  }

  static void release_process(Thread& thread) {
    if (Process* process = std::exchange(thread.process_, nullptr)) process->release();
  }

  static void free(Thread* thread) {
    free_stack(*thread);
    slab_delete(thread);
  }
};

Thread::Thread() {}  // not "= default": a new thread is not zeroed first
Thread::~Thread() = default;

Result<Thread*> Thread::create(Process* process, void (*entry)(void*), void* argument) {
  Thread* thread = TRY(ThreadCache::make());
  ThreadCache::set_up(*thread, process, entry, argument);
  return thread;
}

Result<Thread*> Thread::create_boot() { return ThreadCache::make_without_stack(); }

void Thread::destroy(Thread* thread) { thread_ended(thread); }

// The scheduler takes a thread with a process for one with registers and a trap frame of its own.
void Thread::work_for(Process* process) {
  InterruptGuard interrupts_off;
  if (process) {
    process->acquire();
    frame().vector = 0;
    tls = {};
    float_state_initialize(float_state);
    process_ = process;
    scheduler_switch_space(&process->space());
  } else {
    scheduler_switch_space(nullptr);
    ThreadCache::release_process(*this);
  }
}

// Interrupts may be off; the thread is on no CPU any more.
void thread_ended(Thread* thread) {
  ThreadCache::release_process(*thread);
  InterruptLockGuard guard(cache_lock);
  cached_threads->push_front(*thread);
  cached_count++;
}

void thread_cache_trim(uint32_t keep) {
  for (;;) {
    Thread* surplus;
    {
      InterruptLockGuard guard(cache_lock);
      if (cached_count <= keep) return;
      cached_count--;
      surplus = cached_threads->pop_front();
    }
    ThreadCache::free(surplus);
  }
}

uint32_t thread_cache_frames() {
  InterruptLockGuard guard(cache_lock);
  return cached_count * kKernelStackPages;
}

void thread_cache_initialize() { cached_threads.construct(); }

Result<Thread*> kernel_thread_create(const char* name, void (*entry)(void*), void* argument) {
  Thread* thread = TRY(Thread::create(nullptr, entry, argument));
  for (size_t i = 0; i + 1 < Thread::kNameLimit && name[i]; i++) thread->name[i] = name[i];
  scheduler_start(*thread);
  return thread;
}

}  // namespace faultline
