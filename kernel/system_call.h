// How a system call gets from the trap to its handler. A handler is `Result<uint32_t> sys_NAME(arguments…)`; each argument comes
// from one register (ebx ecx edx esi edi ebp) and has the type that says what it is. A value up to 0xfffff000 goes to eax, an
// error as its negative number. Rows are in system_call_table.cpp.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "arch/context.h"
#include "lib/address.h"
#include "lib/result.h"
#include "mm/user_memory.h"

namespace faultline {

inline constexpr uint32_t kOwnCallBase = 0x1000;  // Faultline's own

struct SystemCallRow {
  uint16_t number;
  const char* name;
  SystemCallEntry entry;
};

// The name for tracing, or null.
const char* system_call_name(uint32_t number);

namespace detail {

template <typename T>
T system_call_argument(uint32_t raw) {
  if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
    static_assert(sizeof(T) <= 4, "64-bit arguments come as two words");
    return static_cast<T>(raw);
  } else {
    return T(raw);  // UserPtr<T>, VirtAddr
  }
}

inline constexpr uint32_t TrapFrame::*kArgumentRegisters[] = {&TrapFrame::ebx, &TrapFrame::ecx, &TrapFrame::edx,
                                                              &TrapFrame::esi, &TrapFrame::edi, &TrapFrame::ebp};

template <auto kHandler, typename... Arguments, size_t... kIndex>
inline Result<uint32_t> system_call_apply(TrapFrame& frame, Result<uint32_t> (*)(Arguments...), std::index_sequence<kIndex...>) {
  static_assert(sizeof...(Arguments) <= 6);
  (void)frame;
  return kHandler(system_call_argument<std::remove_cvref_t<Arguments>>(frame.*kArgumentRegisters[kIndex])...);
}

template <typename... Arguments>
constexpr auto argument_indices(Result<uint32_t> (*)(Arguments...)) {
  return std::make_index_sequence<sizeof...(Arguments)>();
}

}  // namespace detail

// What the table holds: takes the arguments from the frame.
template <auto kHandler>
Result<uint32_t> entry(uint32_t, TrapFrame& frame) {
  return detail::system_call_apply<kHandler>(frame, kHandler, detail::argument_indices(kHandler));
}

}  // namespace faultline
