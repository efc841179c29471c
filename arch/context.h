// A thread's machine state: the trap frame that user registers are saved in, the kernel context that a switch saves, x87/SSE
// state, the user's TLS descriptors. The trap entry's assembly and this header agree by static_assert.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/address.h"
#include "lib/result.h"

namespace faultline {

// What trap entry pushes, lowest address first; the processor pushed from `error` (or eip) on.
struct TrapFrame {
  uint32_t gs, fs, es, ds;
  uint32_t edi, esi, ebp, kernel_esp, ebx, edx, ecx, eax;  // as PUSHA leaves them; POPA passes over its esp
  uint32_t vector;
  uint32_t error;  // the processor's error code, or 0; for a system call the original eax
  uint32_t eip, cs, eflags;
  uint32_t esp, ss;  // only there when the trap came from user mode

  bool from_user() const { return (cs & 3) == 3; }
  bool is_system_call() const;
};
static_assert(offsetof(TrapFrame, edi) == 16 && offsetof(TrapFrame, eax) == 44 && offsetof(TrapFrame, eip) == 56 &&
              sizeof(TrapFrame) == 76);

inline constexpr uint32_t kVectorPageFault = 14;
inline constexpr uint32_t kVectorSystemCall = 0x80;
inline constexpr uint32_t kVectorFastCall = 0x100;   // not a vector: a system call by the processor's shorter way (SYSENTER)
inline constexpr uint32_t kSystemCallLimit = 0x1c0;  // numbers that system_call_table reaches
inline bool TrapFrame::is_system_call() const { return vector == kVectorSystemCall || vector == kVectorFastCall; }
// Page-fault error code bits (SDM 4.7).
inline constexpr uint32_t kFaultProtection = 1, kFaultWrite = 2, kFaultUser = 4, kFaultReserved = 8;

// x87/SSE state as FXSAVE writes it; 16-byte aligned.
struct alignas(16) FloatState {
  uint8_t bytes[512];
};

// The three TLS slots of set_thread_area: GDT entries 6..8, as Linux numbers them.
inline constexpr uint32_t kTlsSlots = 3, kFirstTlsEntry = 6;
struct TlsDescriptors {
  uint64_t entries[kTlsSlots] = {};
  uint32_t used = 0;  // the slots from here on are empty

  void set(uint32_t slot, uint64_t entry) {
    entries[slot] = entry;
    if (used <= slot) used = slot + 1;
  }
};

// The state of a thread that does not run; all but this is on its kernel stack.
struct Context {
  uint32_t stack_pointer = 0;
};

// Prepares a context that, when first switched to, calls entry(argument) on the stack whose top is given, with
// interrupts off and preemption disabled once, as if it had called context_switch.
void context_prepare(Context& context, void* stack_top, void (*entry)(void*), void* argument);

// Saves the running thread's context in `from` and continues `to`. Interrupts off. Returns when somebody switches back.
void context_switch(Context& from, const Context& to);

// Per switch, for the CPU this runs on: kernel stack for traps from user mode (TSS.esp0), and TLS descriptors.
void context_load(void* stack_top, const TlsDescriptors& tls);
void context_load_tls(const TlsDescriptors& tls);

// x87/SSE: lazily or eagerly is arch's business. `save` writes the running state, `restore` loads it.
void float_state_initialize(FloatState& state);
void float_state_save(FloatState& state);
void float_state_restore(const FloatState& state);
// Gives the running thread the state of a new program.
void float_state_reset();
// Which unmasked exceptions of x87 (vector 16) or SSE (19) are pending in the running state: 1 invalid, 2 denormal, 4 division by
// zero, 8 overflow, 16 underflow, 32 inexact, as in the status word.
uint32_t float_exceptions(uint32_t vector);
// The running state to and from a signal frame, laid out as <asm/sigcontext.h>'s _fpstate: 16-byte aligned when it is saved, on the way
// back whatever the program made of it. They may sleep, like user_copy_out(). False on a fault: saving has then changed nothing, and
// restoring leaves the state of a new program. What has been saved must be reset: a part may be already.
inline constexpr uint32_t kUserFloatBytes = 624;
bool float_state_save_to_user(VirtAddr where);
bool float_state_restore_from_user(VirtAddr where);

// Where a trap frame lives for a thread that entered from user mode: the top of its kernel stack.
inline TrapFrame* user_trap_frame(void* stack_top) { return static_cast<TrapFrame*>(stack_top) - 1; }

// The selectors and flags of a fresh user frame (execve).
void trap_frame_initialize_user(TrapFrame& frame, VirtAddr entry, VirtAddr stack);

// Leaves to user mode through the frame at the stack's top; never returns. Interrupts off, preemption enabled.
extern "C" [[noreturn]] void trap_return_to_user(TrapFrame* frame);

// The address whose access raised the last page fault (CR2), for reports.
VirtAddr page_fault_address();

// For a fault in the kernel that nothing resolved: if the instruction is one that may fault (a user copy), continues it at its
// fix-up when the frame returns. False: it was our own bug, panic_trap() it.
bool trap_fix_up(TrapFrame& frame);

// Upward calls that kernel/ implements.
//
// The first word of a Thread is `Atomic<uint32_t> work`: entry code reads it through the per-CPU current_thread.
//
// page_fault_dispatch: vector 14, with the address whose access raised it; interrupts off, from user mode or the kernel.
extern "C" void page_fault_dispatch(TrapFrame* frame, VirtAddr address);
// trap_dispatch: the other exceptions (vectors 0 to 31, NMI and double fault excepted), likewise.
// Interrupts never get there: arch serves them, calling the handlers that interrupt_install and clock_arm name.
extern "C" void trap_dispatch(TrapFrame* frame);
// system_call_table: the handlers of system calls by number, and after them one for all numbers that are unknown. Called with interrupts
// on; the value goes to the program's eax, of an error what system_call_failed() makes of it.
using SystemCallEntry = Result<uint32_t> (*)(uint32_t number, TrapFrame& frame);
extern "C" uint32_t system_call_failed(Errno error);
// Work to do before returning to user mode (signals, reschedule): called by entry code with interrupts off, again and again as
// long as the current thread's work word or the CPU's need_reschedule is set. May enable interrupts; returns with them off.
extern "C" void return_to_user_work(TrapFrame* frame);
// The one-shot timer went off. Interrupts off, on the interrupted thread's stack.
void kernel_timer_interrupt();
// A trap that cannot be survived: kernel/panic.cpp reports what happened and stops the machine.
[[noreturn]] void panic_trap(const TrapFrame& frame, const char* reason);
//
// An interrupt that returns to kernel code with interrupts on, preemption not disabled and need_reschedule set calls
// machine::preempt_interrupted(), interrupts off. A cpu_kick() sets need_reschedule on the CPU that it interrupts.

}  // namespace faultline

#include <machine/context_inline.h>
