// Each processor's own area: the head that %gs: reaches, its descriptor table and task segments.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <machine/cpu_inline.h>

#include "arch/cpu.h"
#include "lib/address.h"
#include "arch/x86/selectors.h"

namespace faultline {

// The 32-bit task state segment (SDM volume 3, 8.2.1).
struct TaskState {
  uint32_t link;
  uint32_t esp0, ss0, esp1, ss1, esp2, ss2;
  uint32_t cr3, eip, eflags;
  uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
  uint32_t es, cs, ss, ds, fs, gs;
  uint32_t ldt;
  uint16_t trap, io_bitmap;  // past the limit: user mode has no ports
};
static_assert(sizeof(TaskState) == 104 && offsetof(TaskState, cr3) == 28 && offsetof(TaskState, ldt) == 96);

struct alignas(64) CpuArea {
  machine::CpuAreaHead head;
  uint32_t apic_id;
  uint64_t timer_deadline;    // what clock_arm() was asked for
  uint32_t tls_used;          // slots of the GDT that hold something
  alignas(8) std::array<uint64_t, GDT_ENTRIES> gdt;
  // For what may interrupt the first instruction after SYSENTER, which leaves it (traps.S): an NMI, or a single step.
  alignas(16) std::array<uint8_t, 1024> entry_stack;
  TaskState task;
  TaskState double_fault_task;
  alignas(16) std::array<uint8_t, 4096> double_fault_stack;
};
static_assert(offsetof(CpuArea, task) + offsetof(TaskState, esp0) ==
              offsetof(CpuArea, entry_stack) + sizeof(CpuArea::entry_stack) + ENTRY_STACK_TO_KERNEL_STACK);
static_assert(offsetof(machine::CpuAreaHead, preemption_disabled) == PER_CPU_PREEMPTION_DISABLED);
static_assert(offsetof(machine::CpuAreaHead, current_thread) == PER_CPU_CURRENT_THREAD);
static_assert(offsetof(machine::CpuAreaHead, need_reschedule) == PER_CPU_NEED_RESCHEDULE);

extern std::array<CpuArea, kMaxCpus> cpu_areas;

inline CpuArea& this_cpu_area() {
  machine::CpuAreaHead* head;
  asm volatile("movl %%gs:0, %0" : "=r"(head));
  return *reinterpret_cast<CpuArea*>(head);
}

// Loads this CPU's descriptor tables and %gs. Interrupts off.
void descriptors_initialize(uint32_t cpu);
// Builds the interrupt table, which all CPUs share, and loads it on this one.
void interrupt_table_initialize();
void interrupt_table_load();

}  // namespace faultline
