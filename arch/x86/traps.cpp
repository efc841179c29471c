// Exceptions that are not page faults, the fix-up table, and the two that always end in a report.
#include "arch/context.h"
#include "arch/start.h"
#include "arch/x86/features.h"
#include "arch/x86/paging.h"
#include "arch/x86/per_cpu.h"
#include "arch/x86/smp.h"

namespace faultline {

namespace {

// See .fix_up_table in linker.ld, traps.S and user_copy.S.
struct FixUp {
  uint32_t instruction, target;
};

}  // namespace

extern "C" const char fast_call_entry[], fast_call_flags_are_clear[];
extern "C" const FixUp fix_up_table_start[], fix_up_table_end[];

static_assert(kSystemCallLimit == SYSTEM_CALL_LIMIT && kVectorFastCall == VECTOR_FAST_CALL);

void traps_initialize() {
  cpu_features_initialize();
  descriptors_initialize(0);
  interrupt_table_initialize();
  cpu_control_initialize();
}

bool trap_fix_up(TrapFrame& frame) {
  if (frame.from_user()) return false;
  for (const FixUp* entry = fix_up_table_start; entry < fix_up_table_end; entry++)
    if (entry->instruction == frame.eip) {
      frame.eip = entry->target;
      // The kernel doesn't use fs, which still holds the program's selector; the way out of this frame loads it too, and if that is
      // what faulted, would fault for ever.
      if (frame.vector != kVectorPageFault) frame.fs = 0;
      return true;
    }
  return false;
}

VirtAddr page_fault_address() {
  uint32_t address;
  asm volatile("movl %%cr2, %0" : "=r"(address));
  return VirtAddr(address);
}

// A program that single-steps goes on doing so behind SYSENTER, which does not clear TF, until the entry has.
static bool is_step_into_fast_call(const TrapFrame& frame) {
  auto address = [](const char* label) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(label)); };
  return frame.vector == VECTOR_DEBUG && !frame.from_user() && frame.eip >= address(fast_call_entry) &&
         frame.eip <= address(fast_call_flags_are_clear);
}

extern "C" void exception_dispatch(TrapFrame* frame) {
  if (is_step_into_fast_call(*frame)) return;
  if (frame->vector == VECTOR_NMI) {
    cpu_stop_if_asked();
    panic_trap(*frame, "non-maskable interrupt");
  }
  // A selector or return address of the program's that the way out to it could not load (traps.S).
  if (trap_fix_up(*frame)) return;
  trap_dispatch(frame);
}

// Runs in the double-fault task. The main task's segment holds what the processor saw last.
extern "C" [[noreturn]] void double_fault_report() {
  const TaskState& task = this_cpu_area().task;
  TrapFrame frame = {task.gs,
                     task.fs,
                     task.es,
                     task.ds,
                     task.edi,
                     task.esi,
                     task.ebp,
                     task.esp,
                     task.ebx,
                     task.edx,
                     task.ecx,
                     task.eax,
                     VECTOR_DOUBLE_FAULT,
                     0,
                     task.eip,
                     task.cs,
                     task.eflags,
                     task.esp,
                     task.ss};
  panic_trap(frame, mmu_is_stack_guard(page_fault_address()) ? "kernel stack overflow" : "double fault");
}

}  // namespace faultline
