// The report of our own bugs: what happened, the registers, how we got there. Nothing here allocates, sleeps, takes a lock or
// trusts a pointer that it has not checked.
#include "lib/panic.h"

#include <array>

#include "arch/context.h"
#include "arch/cpu.h"
#include "arch/mmu.h"
#include "arch/power.h"
#include "drivers/early_screen.h"
#include "drivers/early_serial.h"
#include "kernel/symbols.h"
#include "lib/atomic.h"
#include "lib/format.h"
#include "lib/stack_trace.h"

namespace faultline {

namespace {

constexpr uint32_t kMaxDepth = 32;
constexpr uint32_t kNobody = ~0u;
constinit Atomic<uint32_t> reporting_cpu{kNobody};

// Each line says what it belongs to, for programs that read the console.
template <typename... Arguments>
void say(StringView pattern, const Arguments&... arguments) {
  std::array<char, 256> line;
  BufferSink sink(line);
  format(sink, pattern, arguments...);
  for (StringView text : {StringView("panic: "), sink.text(), StringView("\n")}) {
    early_serial_put(text);
    early_screen_put(text);
  }
}

// The first panic stops the other CPUs and reports. One on a CPU that was not stopped soon enough waits for the end; one
// inside the report is the end.
void begin() {
  machine::interrupts_save_and_disable();
  uint32_t reporter = kNobody;
  if (reporting_cpu.compare_exchange_strong(reporter, this_cpu(), memory_order_seq_cst)) {
    cpu_stop_others();
    return;
  }
  while (reporter != this_cpu()) machine::relax();
  say("and another while reporting this one");
  power_panic_exit();
}

// Whether a kernel address can be read, by the tables that are in force.
bool is_readable(uint32_t address) {
  if (address < kKernelBase || address % sizeof(uint32_t) != 0) return false;
  Pte directory = pte_load(table_slots(mmu_active_directory())[VirtAddr(address).directory_index()]);
  if (!directory.is_present() || directory.flags() & Pte::kLarge) return directory.is_present();
  return pte_load(table_slots(directory.frame())[VirtAddr(address).table_index()]).is_present();
}

void say_place(const char* what, uint32_t address) {
  SymbolPlace place = symbol_find(address);
  if (place.name.empty())
    say("{} {08x}", what, address);
  else
    say("{} {08x} {}+0x{x}", what, address, place.name.substring(0, 180), place.offset);
}

// Where the stack of the running code is now, for Callers.
[[gnu::always_inline]] inline uint32_t stack_here() {
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
}

// Follows the frame pointers (every function keeps one): [frame] is the caller's, [frame + 4] the return address. The stack grows down, so each
// must be above the last, and none farther from `stack` than a stack is long: the last link is whatever user space had in ebp.
class Callers {
 public:
  Callers(uint32_t stack, uint32_t frame) : frame_(frame), lowest_(stack), end_(stack + kKernelStackPages * kPageSize) {}

  // The next return address, innermost first; 0 when there are no more.
  uint32_t next() {
    if (frame_ < lowest_ || frame_ >= end_ || !is_readable(frame_) || !is_readable(frame_ + 4)) return 0;
    const auto* words = reinterpret_cast<const uint32_t*>(frame_);
    lowest_ = frame_ + 1;
    frame_ = words[0];
    return words[1];
  }

 private:
  uint32_t frame_, lowest_;
  const uint32_t end_;
};

void backtrace(Callers callers) {
  for (uint32_t depth = 0; depth < kMaxDepth; depth++) {
    uint32_t caller = callers.next();
    if (caller == 0) return;
    say_place("  by", caller);
  }
  say("  and more");
}

// Where the stack was when the trap came: a trap in the kernel leaves no esp and ss, and the frame's end is where it was.
uint32_t stack_of(const TrapFrame& frame) {
  bool has_stack = frame.from_user() || frame.vector == 8;
  return has_stack ? frame.esp : static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&frame.esp));
}

StringView exception_name(uint32_t vector) {
  static constexpr const char* kNames[] = {"divide error",
                                           "debug",
                                           "non-maskable interrupt",
                                           "breakpoint",
                                           "overflow",
                                           "bound range",
                                           "invalid opcode",
                                           "no x87",
                                           "double fault",
                                           "x87 segment overrun",
                                           "invalid task segment",
                                           "segment not present",
                                           "stack fault",
                                           "general protection",
                                           "page fault",
                                           "reserved",
                                           "x87 error",
                                           "alignment check",
                                           "machine check",
                                           "SIMD error"};
  return vector < sizeof kNames / sizeof *kNames ? kNames[vector] : "exception";
}

void say_registers(const TrapFrame& frame) {
  say("eax {08x} ebx {08x} ecx {08x} edx {08x}", frame.eax, frame.ebx, frame.ecx, frame.edx);
  say("esi {08x} edi {08x} ebp {08x} esp {08x}", frame.esi, frame.edi, frame.ebp, stack_of(frame));
  say("eflags {08x} cs {x} ds {x} es {x} fs {x} gs {x} cr3 {08x}", frame.eflags, frame.cs, frame.ds, frame.es, frame.fs, frame.gs,
      PhysAddr::of(mmu_active_directory()).value());
}

void say_page_fault(const TrapFrame& frame) {
  say("{} of {08x}, {}, {}{}", frame.error & kFaultWrite ? "write" : "read", page_fault_address().value(),
      frame.error & kFaultProtection ? "not allowed by the page" : "no page there",
      frame.error & kFaultUser ? "in user mode" : "in the kernel", frame.error & kFaultReserved ? ", reserved bits set in a table" : "");
}

}  // namespace

void panic_at(const char* file, int line, const char* message) {
  begin();
  say("{} at {}:{} on cpu {}", message, file, line, this_cpu());
  backtrace({stack_here(), stack_here()});
  power_panic_exit();
}

#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG
void panic_with_notes(const char* file, int line, const char* message, const PanicNote* notes, unsigned count) {
  begin();
  say("{} at {}:{} on cpu {}", message, file, line, this_cpu());
  for (const PanicNote* note = notes; note != notes + count; note++) {
    if (!note->text) continue;
    say("{} {}", note->text, note->name);
    for (uint32_t i = 0; note->stack && i < StackTrace::kDepth && note->stack->callers[i] != 0; i++)
      say_place("  by", static_cast<uint32_t>(note->stack->callers[i]));
  }
  say("and here:");
  backtrace({stack_here(), stack_here()});
  power_panic_exit();
}

void stack_trace_here(StackTrace& trace) {
  Callers callers(stack_here(), stack_here());
  for (uintptr_t& caller : trace.callers)
    if ((caller = callers.next()) == 0) return;
}
#endif

void panic_trap(const TrapFrame& frame, const char* reason) {
  begin();
  say("{}: trap {} ({}) error {x} on cpu {}", reason, frame.vector, exception_name(frame.vector), frame.error, this_cpu());
  if (frame.vector == kVectorPageFault) say_page_fault(frame);
  if (frame.vector == 8) say("last fault address {08x}", page_fault_address().value());
  say_place("eip", frame.eip);
  say_registers(frame);
  if (!frame.from_user()) backtrace({stack_of(frame), frame.ebp});
  power_panic_exit();
}

}  // namespace faultline

// What the compiler and libstdc++ call, in a kernel whose objects are never destroyed and whose memory comes from slab.
extern "C" {
void* __dso_handle = nullptr;
int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }
void __cxa_pure_virtual() { PANIC("a pure virtual function was called"); }
}

namespace std {
// -D_GLIBCXX_ASSERTIONS: out-of-range span[] and array[], an empty optional.
void __glibcxx_assert_fail(const char* file, int line, const char*, const char* condition) noexcept {
  faultline::panic_at(file ? file : "libstdc++", line, condition ? condition : "assertion failed");
}
}  // namespace std

void operator delete(void*) noexcept { PANIC("operator delete"); }
void operator delete(void*, decltype(sizeof 0)) noexcept { PANIC("operator delete"); }
