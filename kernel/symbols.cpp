// Binary search in the table that tools/ksyms generates.
#include "kernel/symbols.h"

namespace faultline {

namespace {

struct Symbol {
  uint32_t address, name_offset;
};

}  // namespace

extern "C" const Symbol kernel_symbols[];
extern "C" const uint32_t kernel_symbol_count;
extern "C" const char kernel_symbol_names[];
extern "C" const char kernel_text_start[], kernel_text_end[];

namespace {

bool within(uint32_t address, const char* start, const char* end) {
  return address >= reinterpret_cast<uintptr_t>(start) && address < reinterpret_cast<uintptr_t>(end);
}

}  // namespace

SymbolPlace symbol_find(uint32_t address) {
  if (kernel_symbol_count == 0 || !within(address, kernel_text_start, kernel_text_end)) return {};
  uint32_t low = 0, high = kernel_symbol_count;  // the wanted symbol is in [low, high)
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    (kernel_symbols[middle].address <= address ? low : high) = middle;
  }
  if (kernel_symbols[low].address > address) return {};
  return {StringView(kernel_symbol_names + kernel_symbols[low].name_offset), address - kernel_symbols[low].address};
}

}  // namespace faultline
