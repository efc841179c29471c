// See fiber.h.
#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#include "lib/panic.h"

// Saves what the calling convention lets a function's caller expect unchanged, as arch/x86's context switch does.
extern "C" void faultline_switch_stacks(void** own, void* next);
#if defined(__x86_64__)
constexpr int kSavedRegisters = 6;
asm(R"(
.text
faultline_switch_stacks:
  push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp
  ret
)");
#elif defined(__i386__)
constexpr int kSavedRegisters = 4;
asm(R"(
.text
faultline_switch_stacks:
  push %ebp; push %ebx; push %esi; push %edi
  mov 20(%esp), %eax
  mov 24(%esp), %edx
  mov %esp, (%eax)
  mov %edx, %esp
  pop %edi; pop %esi; pop %ebx; pop %ebp
  ret
)");
#else
#error "host_tests/support/fiber.cpp knows no such processor"
#endif

namespace faultline::host {

namespace {

constexpr size_t kStackBytes = 512 * 1024;

// Stacks are used again: a run is short.
std::vector<void*> free_stacks;

void* take_stack() {
  if (free_stacks.empty()) {
    void* stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED) PANIC("no memory for a fiber's stack");
    return stack;
  }
  void* stack = free_stacks.back();
  free_stacks.pop_back();
  return stack;
}

// Of the switch that is under way.
Fiber *left = nullptr, *entered = nullptr;

}  // namespace

Fiber::Fiber(void (*entry)()) : entry_(entry), stack_(take_stack()), bottom_(stack_), bytes_(kStackBytes) {
  // As if begin() had been about to return to nobody, called by nobody.
  auto* top = reinterpret_cast<uintptr_t*>(static_cast<uint8_t*>(stack_) + kStackBytes);
  uintptr_t* stopped = top - kSavedRegisters - 2;
  for (int i = 0; i < kSavedRegisters; i++) stopped[i] = 0;
  stopped[kSavedRegisters] = reinterpret_cast<uintptr_t>(&begin);
  stopped[kSavedRegisters + 1] = 0;
  stopped_at_ = stopped;
}

Fiber::~Fiber() {
  if (stack_) free_stacks.push_back(stack_);
}

void Fiber::switch_to(Fiber& next) {
  leave(next, Leave::kForNow);
  arrived();
}

void Fiber::end_in(Fiber& next) {
  leave(next, Leave::kForGood);
  __builtin_unreachable();
}

void Fiber::begin() {
  entered->arrived();
  entered->entry_();
}

void Fiber::leave(Fiber& next, [[maybe_unused]] Leave how) {
  left = this;
  entered = &next;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(how == Leave::kForGood ? nullptr : &fake_stack_, next.bottom_, next.bytes_);
#endif
  faultline_switch_stacks(&stopped_at_, next.stopped_at_);
}

void Fiber::arrived() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack_, &left->bottom_, &left->bytes_);
#endif
}

void print_stack_here() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_print_stack_trace();
#endif
}

}  // namespace faultline::host
