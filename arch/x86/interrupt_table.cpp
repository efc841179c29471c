// The interrupt descriptor table (SDM volume 3, 6.10 to 6.11): interrupt gates to the stubs of traps.S, a task gate for the
// double fault. Shared by all processors.
#include <array>

#include "arch/x86/per_cpu.h"

extern "C" char trap_stubs[], system_call_entry[];

namespace faultline {

namespace {

constexpr uint32_t kStubBytes = 16;
constexpr uint32_t kInterruptGate = 0x8e, kTaskGate = 0x85, kFromUser = 0x60;

constinit std::array<uint64_t, 256> table = {};

uint64_t gate(const char* target, uint32_t type) {
  uint32_t offset = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(target));
  return (offset & 0xffff) | uint64_t{SELECTOR_KERNEL_CODE} << 16 | uint64_t{type} << 40 | uint64_t{offset >> 16} << 48;
}

}  // namespace

void interrupt_table_initialize() {
  constexpr uint32_t kBreakpoint = 3, kOverflow = 4;  // int3 and into are for everybody
  for (uint32_t vector = 0; vector < table.size(); vector++) {
    bool from_user = vector == kBreakpoint || vector == kOverflow;
    table[vector] = gate(trap_stubs + vector * kStubBytes, kInterruptGate | (from_user ? kFromUser : 0));
  }
  table[VECTOR_SYSTEM_CALL] = gate(system_call_entry, kInterruptGate | kFromUser);
  table[VECTOR_DOUBLE_FAULT] = uint64_t{SELECTOR_DOUBLE_FAULT_TASK} << 16 | uint64_t{kTaskGate} << 40;
  interrupt_table_load();
}

void interrupt_table_load() {
  struct [[gnu::packed]] {
    uint16_t limit;
    uint32_t base;
  } pointer = {sizeof(table) - 1, static_cast<uint32_t>(reinterpret_cast<uintptr_t>(table.data()))};
  asm volatile("lidt %0" : : "m"(pointer));
}

}  // namespace faultline
