// A thread's first context, its first user frame, and its x87/SSE state.
#include "arch/context.h"

#include "arch/x86/features.h"
#include "arch/x86/selectors.h"

namespace faultline {

void context_prepare(Context& context, void* stack_top, void (*entry)(void*), void* argument) {
  // What context_switch() pops: four registers and a return address. entry() sees a caller of 0, where backtraces end.
  uint32_t* stack = static_cast<uint32_t*>(stack_top);
  *--stack = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(argument));
  *--stack = 0;
  *--stack = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(entry));
  for (int i = 0; i < 4; i++) *--stack = 0;
  context.stack_pointer = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(stack));
}

void trap_frame_initialize_user(TrapFrame& frame, VirtAddr entry, VirtAddr stack) {
  frame = {};
  frame.ds = frame.es = frame.ss = SELECTOR_USER_DATA;
  frame.cs = SELECTOR_USER_CODE;
  frame.eip = entry.value();
  frame.esp = stack.value();
  frame.eflags = 0x202;  // interrupts on; bit 1 is always set
}

// Before SSE there was FSAVE, whose 108 bytes fit as well; it leaves the unit reset.
void float_state_save(FloatState& state) {
  if (cpu_has(CpuFeature::kFxsr)) {
    asm volatile("fxsave %0" : "=m"(state));
  } else {
    asm volatile("fnsave %0" : "=m"(state));
    asm volatile("frstor %0" : : "m"(state));
  }
}

void float_state_restore(const FloatState& state) {
  if (cpu_has(CpuFeature::kFxsr)) {
    asm volatile("fxrstor %0" : : "m"(state));
  } else {
    asm volatile("frstor %0" : : "m"(state));
  }
}

void float_state_sanitize(FloatState& state) {
  // Loading an MXCSR with a bit set that this processor does not know is a general protection fault (SDM volume 1, 11.6.6).
  constexpr uint32_t kMxcsr = 24, kKnownBits = 0xffbf;  // all but denormals-are-zero, which not all have
  state.bytes[kMxcsr] &= kKnownBits & 0xff;
  state.bytes[kMxcsr + 1] &= kKnownBits >> 8;
  state.bytes[kMxcsr + 2] = state.bytes[kMxcsr + 3] = 0;
}

// What Linux gives a new program: all exceptions masked, x87 at extended precision, registers zero.
void float_state_initialize(FloatState& state) {
  state = {};
  auto put = [&state](uint32_t offset, uint32_t value) {
    for (uint32_t i = 0; i < 4; i++) state.bytes[offset + i] = static_cast<uint8_t>(value >> 8 * i);
  };
  if (cpu_has(CpuFeature::kFxsr)) {
    put(0, 0x037f);   // control word; status and abridged tag word 0
    put(24, 0x1f80);  // MXCSR
  } else {
    put(0, 0xffff037f);
    put(8, 0xffffffff);  // tags: empty
  }
}

}  // namespace faultline
