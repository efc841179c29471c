// A thread's first context and its first user frame.
#include "arch/context.h"

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

}  // namespace faultline
