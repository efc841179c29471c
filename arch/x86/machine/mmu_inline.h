// The shortest functions of arch/mmu.h, inline on this machine. Included by it alone, after their declarations.
#pragma once

#include <machine/cpu_inline.h>

#include <cstdint>

#include "lib/address.h"

namespace faultline {

inline void* direct_map(FrameNumber frame) { return reinterpret_cast<void*>(kKernelBase + (frame.value() << kPageShift)); }
inline FrameNumber direct_map_frame(const void* pointer) {
  return FrameNumber((static_cast<uint32_t>(reinterpret_cast<uintptr_t>(pointer)) - kKernelBase) >> kPageShift);
}

// SSE is on, on every CPU that runs the kernel proper: set once, by the boot processor.
extern "C" bool has_wide_registers;
extern "C" void page_zero_wide(void* page);
extern "C" void page_copy_wide(void* destination, const void* source);

inline void page_zero(FrameNumber frame) {
  void* to = direct_map(frame);
  if (has_wide_registers) [[likely]] {
    machine::preemption_disable();
    page_zero_wide(to);
    machine::preemption_enable();
    return;
  }
  uint32_t count = kPageSize / 4;
  asm volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(0) : "memory");
}
inline void page_copy(FrameNumber destination, FrameNumber source) {
  void* to = direct_map(destination);
  const void* from = direct_map(source);
  if (has_wide_registers) [[likely]] {
    machine::preemption_disable();
    page_copy_wide(to, from);
    machine::preemption_enable();
    return;
  }
  uint32_t count = kPageSize / 4;
  asm volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}
inline void mmu_activate(FrameNumber directory) { asm volatile("movl %0, %%cr3" : : "r"(directory.value() << kPageShift) : "memory"); }
inline void mmu_flush_page(VirtAddr page) { asm volatile("invlpg (%0)" : : "r"(page.value()) : "memory"); }

}  // namespace faultline
