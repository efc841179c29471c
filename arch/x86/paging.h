// The kernel's own half of the address space, for arch/x86 only: see mmu.cpp.
#pragma once

#include "lib/address.h"

namespace faultline {

// Kernel stacks (guard page below each), then device registers; the last page is never mapped.
inline constexpr uint32_t kDirectMapEnd = 0xf8000000u;
inline constexpr uint32_t kStackArea = kDirectMapEnd;
inline constexpr uint32_t kDeviceArea = 0xff000000u;
inline constexpr uint32_t kDeviceAreaEnd = 0xfffff000u;

// Whether `address` lies in the guard page of a kernel stack.
bool mmu_is_stack_guard(VirtAddr address);

// Gives the boot directory, in which other processors start because it still has the identity map, the kernel's whole half.
void mmu_complete_boot_directory();

inline void write_cr3(uint32_t value) { asm volatile("movl %0, %%cr3" : : "r"(value) : "memory"); }

// Tells the double-fault tasks which directory to run in.
void double_fault_directory_set(uint32_t cr3);

}  // namespace faultline
