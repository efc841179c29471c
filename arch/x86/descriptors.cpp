// Descriptor tables (SDM volume 3, chapters 3 and 8): flat segments, per-CPU %gs, the task segment that gives traps from
// user mode their stack, and a task of its own for double faults, so that even a kernel stack that ran into its guard
// page can be reported.
#include <algorithm>
#include <array>

#include "arch/context.h"
#include "arch/mmu.h"
#include "arch/start.h"
#include "arch/x86/features.h"
#include "arch/x86/paging.h"
#include "arch/x86/per_cpu.h"

extern "C" void double_fault_entry(), fast_call_entry();

namespace faultline {

constinit std::array<CpuArea, kMaxCpus> cpu_areas = {};

namespace {

constexpr uint64_t segment(uint32_t base, uint32_t limit, uint32_t type, uint32_t flags) {
  return (limit & 0xffff) | uint64_t{base & 0xffffff} << 16 | uint64_t{type} << 40 | uint64_t{limit >> 16 & 0xf} << 48 |
         uint64_t{flags} << 52 | uint64_t{base >> 24} << 56;
}
constexpr uint32_t kPages32 = 0xc;  // limit in pages, 32-bit segment
constexpr uint64_t kKernelCode = segment(0, 0xfffff, 0x9a, kPages32);
constexpr uint64_t kKernelData = segment(0, 0xfffff, 0x92, kPages32);
constexpr uint64_t kUserCode = segment(0, 0xfffff, 0xfa, kPages32);
constexpr uint64_t kUserData = segment(0, 0xfffff, 0xf2, kPages32);
static_assert(kKernelCode == 0x00cf9a000000ffff && kUserData == 0x00cff2000000ffff);

uint64_t task_segment(const TaskState& task) { return segment(reinterpret_cast<uintptr_t>(&task), sizeof(TaskState) - 1, 0x89, 0); }

constexpr uint64_t& entry(CpuArea& area, uint32_t selector) { return area.gdt[selector >> 3]; }

struct [[gnu::packed]] TablePointer {
  uint16_t limit;
  uint32_t base;
};

void prepare_double_fault_task(CpuArea& area) {
  TaskState& task = area.double_fault_task;
  task.eip = reinterpret_cast<uintptr_t>(&double_fault_entry);
  task.esp = reinterpret_cast<uintptr_t>(area.double_fault_stack.data() + area.double_fault_stack.size());
  task.eflags = 2;
  task.cs = SELECTOR_KERNEL_CODE;
  task.ss = task.ds = task.es = SELECTOR_KERNEL_DATA;
  task.gs = SELECTOR_PER_CPU;
  task.io_bitmap = sizeof(TaskState);
  asm volatile("movl %%cr3, %0" : "=r"(task.cr3));
}

void write_register(uint32_t number, uint32_t value) { asm volatile("wrmsr" : : "c"(number), "a"(value), "d"(0)); }

// What SYSENTER loads (SDM volume 3, 5.8.7). It and SYSEXIT take the other segments to be the ones after the kernel's code.
void prepare_fast_calls(CpuArea& area) {
  static_assert(SELECTOR_KERNEL_DATA == SELECTOR_KERNEL_CODE + 8 && SELECTOR_USER_CODE == SELECTOR_KERNEL_CODE + 16 + 3 &&
                SELECTOR_USER_DATA == SELECTOR_KERNEL_CODE + 24 + 3);
  constexpr uint32_t kCodeSegment = 0x174, kStackPointer = 0x175, kInstructionPointer = 0x176;
  if (!cpu_has(CpuFeature::kSysenter)) return;
  write_register(kCodeSegment, SELECTOR_KERNEL_CODE);
  write_register(kStackPointer, reinterpret_cast<uintptr_t>(area.entry_stack.data() + area.entry_stack.size()));
  write_register(kInstructionPointer, reinterpret_cast<uintptr_t>(&fast_call_entry));
}

}  // namespace

void descriptors_initialize(uint32_t cpu) {
  CpuArea& area = cpu_areas[cpu];
  area.head.self = &area.head;
  area.head.index = cpu;
  area.head.preemption_disabled = 1;  // until there is a scheduler to be pre-empted by
  area.task.ss0 = SELECTOR_KERNEL_DATA;
  area.task.io_bitmap = sizeof(TaskState);
  prepare_double_fault_task(area);

  entry(area, SELECTOR_KERNEL_CODE) = kKernelCode;
  entry(area, SELECTOR_KERNEL_DATA) = kKernelData;
  entry(area, SELECTOR_USER_CODE) = kUserCode;
  entry(area, SELECTOR_USER_DATA) = kUserData;
  entry(area, SELECTOR_TASK) = task_segment(area.task);
  entry(area, SELECTOR_DOUBLE_FAULT_TASK) = task_segment(area.double_fault_task);
  entry(area, SELECTOR_PER_CPU) = segment(reinterpret_cast<uintptr_t>(&area), sizeof(CpuArea) - 1, 0x92, 0x4);

  TablePointer pointer = {static_cast<uint16_t>(sizeof(area.gdt) - 1), static_cast<uint32_t>(reinterpret_cast<uintptr_t>(area.gdt.data()))};
  asm volatile(
      "lgdt %0\n\t"
      "ljmp %1, $1f\n"
      "1:\n\t"
      "movl %2, %%ds\n\t"
      "movl %2, %%es\n\t"
      "movl %2, %%ss\n\t"
      "movl %3, %%fs\n\t"
      "movl %4, %%gs\n\t"
      "lldt %w3\n\t"
      "ltr %w5"
      :
      : "m"(pointer), "i"(SELECTOR_KERNEL_CODE), "r"(SELECTOR_KERNEL_DATA), "r"(0), "r"(SELECTOR_PER_CPU), "r"(SELECTOR_TASK)
      : "memory");
  prepare_fast_calls(area);
}

// The kernel directory, whose kernel half is everybody's.
void double_fault_directory_set(uint32_t cr3) {
  for (CpuArea& area : cpu_areas) area.double_fault_task.cr3 = cr3;
}

void context_load_tls(const TlsDescriptors& tls) {
  CpuArea& area = this_cpu_area();
  uint32_t slots = std::max(tls.used, area.tls_used);
  for (uint32_t i = 0; i < slots; i++) area.gdt.data()[kFirstTlsEntry + i] = tls.entries[i];
  area.tls_used = tls.used;
}

}  // namespace faultline
