// The kernel's own table of function names (tools/ksyms makes it, section .ksyms).
#pragma once

#include <cstdint>

#include "lib/string.h"

namespace faultline {

struct SymbolPlace {
  StringView name;      // empty: the address is in no function of ours
  uint32_t offset = 0;  // from the function's start
};
SymbolPlace symbol_find(uint32_t address);

}  // namespace faultline
