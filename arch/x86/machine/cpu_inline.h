// The processor primitives that locks need inline, for x86. The host's own stand in host_tests/support/machine/.
#pragma once

#include <cstdint>

namespace faultline::machine {

// The first words of every CPU's area, which %gs points at while in the kernel. The rest is arch/x86/per_cpu.h's.
struct CpuAreaHead {
  CpuAreaHead* self;             // %gs:0
  uint32_t index;                // %gs:4
  uint32_t preemption_disabled;  // %gs:8: nesting depth; the scheduler pre-empts only at zero
  void* current_thread;          // %gs:12
  uint32_t need_reschedule;      // %gs:16
  void* run_queue;               // %gs:20
};

inline uint64_t cycles() {
  uint64_t count;
  asm volatile("rdtsc" : "=A"(count));
  return count;
}

// What this processor stored before is seen everywhere before anything that it loads afterwards. (SDM volume 3, 8.2.3.4.)
inline void full_fence() { asm volatile("lock orl $0, (%%esp)" ::: "memory", "cc"); }

// Whether something under this kernel may stop a processor at any instruction while the others go on: a hypervisor. Set by the boot.
extern bool processors_may_stop;

inline void relax() { asm volatile("pause" ::: "memory"); }

inline uint32_t this_cpu() {
  uint32_t index;
  asm volatile("movl %%gs:4, %0" : "=r"(index));
  return index;
}

inline void* current_thread_pointer() {
  void* thread;
  asm volatile("movl %%gs:12, %0" : "=r"(thread));
  return thread;
}

// The scheduler's: who runs here, and that somebody else should.
inline void set_current_thread_pointer(void* thread) { asm volatile("movl %0, %%gs:12" : : "r"(thread) : "memory"); }
inline void set_run_queue_pointer(void* queue) { asm volatile("movl %0, %%gs:20" : : "r"(queue) : "memory"); }
inline void* run_queue_pointer() {
  void* queue;
  asm volatile("movl %%gs:20, %0" : "=r"(queue));
  return queue;
}
inline void set_need_reschedule(uint32_t wanted) { asm volatile("movl %0, %%gs:16" : : "ri"(wanted) : "memory"); }
inline bool need_reschedule() {
  uint32_t wanted;
  asm volatile("movl %%gs:16, %0" : "=r"(wanted));
  return wanted != 0;
}
inline uint32_t preemption_depth() {
  uint32_t depth;
  asm volatile("movl %%gs:8, %0" : "=r"(depth));
  return depth;
}
// Implemented by kernel/scheduler.cpp: pre-empts this thread if a reschedule was asked for while it could not be; nothing while
// interrupts are off (a handler that lets go of a lock must not switch).
void preemption_point();
// The same for the way out of an interrupt to kernel code that had interrupts on. Called, and returns, with them off.
void preempt_interrupted();

inline void preemption_disable() { asm volatile("incl %%gs:8" ::: "memory"); }
inline void preemption_enable() {
  // The flag is looked at when the depth reaches zero, so that a wake-up under a lock switches at once after it.
  bool outermost;
  asm volatile("decl %%gs:8" : "=@ccz"(outermost) : : "memory");
  if (outermost) {
    uint32_t wanted;
    asm volatile("movl %%gs:16, %0" : "=r"(wanted));
    if (wanted) [[unlikely]]
      preemption_point();
  }
}

inline uint32_t interrupts_save_and_disable() {
  uint32_t flags;
  asm volatile("pushfl; popl %0; cli" : "=r"(flags) : : "memory");
  return flags;
}
inline void interrupts_restore(uint32_t flags) {
  if (flags & 0x200) asm volatile("sti" ::: "memory");
}
inline void interrupts_disable() { asm volatile("cli" ::: "memory"); }
inline void interrupts_enable() { asm volatile("sti" ::: "memory"); }

inline bool interrupts_enabled() {
  uint32_t flags;
  asm volatile("pushfl; popl %0" : "=r"(flags));
  return (flags & 0x200) != 0;
}

// (high:low) / divisor, for high < divisor.
struct WordDivision {
  uint32_t quotient, remainder;
};
inline WordDivision divide_by_word(uint32_t high, uint32_t low, uint32_t divisor) {
  WordDivision result;
  asm("divl %4" : "=a"(result.quotient), "=d"(result.remainder) : "a"(low), "d"(high), "rm"(divisor) : "cc");
  return result;
}

}  // namespace faultline::machine
