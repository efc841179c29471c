// What a context switch is made of, inline: threads that talk to each other do little else. Included by arch/context.h alone, after the
// declarations.
#pragma once

#include "arch/context.h"
#include "arch/x86/features.h"
#include "arch/x86/per_cpu.h"

namespace faultline {

extern "C" void context_exchange();
inline void context_switch(Context& from, const Context& to) {
  Context* saved = &from;
  const Context* loaded = &to;
  asm volatile("call context_exchange" : "+a"(saved), "+d"(loaded) : : "ebx", "ecx", "esi", "edi", "cc", "memory");
}

inline void context_load(void* stack_top, const TlsDescriptors& tls) {
  CpuArea& area = this_cpu_area();
  area.task.esp0 = reinterpret_cast<uintptr_t>(stack_top);
  if ((tls.used | area.tls_used) != 0) context_load_tls(tls);
}

inline void float_state_save(FloatState& state) {
  if (cpu_has(CpuFeature::kFxsr)) [[likely]] {
    asm volatile("fxsave %0" : "=m"(state));
  } else {
    asm volatile("fnsave %0" : "=m"(state));  // which leaves the unit reset
    asm volatile("frstor %0" : : "m"(state));
  }
}

inline void float_state_restore(const FloatState& state) {
  if (cpu_has(CpuFeature::kFxsr)) [[likely]] {
    asm volatile("fxrstor %0" : : "m"(state));
  } else {
    asm volatile("frstor %0" : : "m"(state));
  }
}

}  // namespace faultline
