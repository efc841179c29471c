// A thread's first context and its first user frame.
#include "arch/context.h"

#include "arch/x86/selectors.h"

namespace faultline {

extern "C" void context_begin();

void context_prepare(Context& context, void* stack_top, void (*entry)(void*), void* argument) {
  auto word = [](auto* pointer) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(pointer)); };
  // What context_exchange() pops, ebp and a return address, and what context_begin() does.
  uint32_t* stack = static_cast<uint32_t*>(stack_top);
  for (uint32_t value : {word(entry), word(argument), word(&context_begin), 0u}) *--stack = value;
  context.stack_pointer = word(stack);
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
