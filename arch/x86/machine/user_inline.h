// Single words of user memory, inline, for what is written and read there field by field. Each access may fault, and sleep, like
// user_copy_out(), and has its entry in the fix-up table.
#pragma once

#include <utility>

#include "lib/address.h"

namespace faultline::machine {

// Of an address that is known to be one of user space. False on a fault.
[[gnu::always_inline]] inline bool store_word(uint32_t address, uint32_t value) {
  asm volatile goto(
      "1: movl %1, %0\n\t"
      ".pushsection .fix_up_table, \"a\"\n\t"
      ".long 1b, %l2\n\t"
      ".popsection"
      :
      : "m"(*reinterpret_cast<uint32_t*>(address)), "ri"(value)
      : "memory"
      : fault);
  return true;
fault:
  return false;
}
[[gnu::always_inline]] inline bool load_word(uint32_t address, uint32_t& value) {
  uint32_t loaded;
  asm volatile goto(
      "1: movl %1, %0\n\t"
      ".pushsection .fix_up_table, \"a\"\n\t"
      ".long 1b, %l2\n\t"
      ".popsection"
      : "=r"(loaded)
      : "m"(*reinterpret_cast<const uint32_t*>(address))
      : "memory"
      : fault);
  value = loaded;
  return true;
fault:
  return false;
}

template <size_t... kIndices, typename... Words>
[[gnu::always_inline]] inline bool store_words(uint32_t address, std::index_sequence<kIndices...>, const Words&... words) {
  return (store_word(address + kIndices * sizeof(uint32_t), words) && ...);
}
template <size_t... kIndices, typename... Words>
[[gnu::always_inline]] inline bool load_words(uint32_t address, std::index_sequence<kIndices...>, Words&... words) {
  return (load_word(address + kIndices * sizeof(uint32_t), words) && ...);
}

// Words one after the other; false if they are not all in user space, or on a fault, perhaps after some.
template <typename... Words>
[[gnu::always_inline]] inline bool user_store(VirtAddr where, const Words&... words) {
  return where.value() <= kKernelBase - sizeof...(words) * sizeof(uint32_t) &&
         store_words(where.value(), std::index_sequence_for<Words...>(), words...);
}
template <typename... Words>
[[gnu::always_inline]] inline bool user_load(VirtAddr where, Words&... words) {
  return where.value() <= kKernelBase - sizeof...(words) * sizeof(uint32_t) &&
         load_words(where.value(), std::index_sequence_for<Words...>(), words...);
}

}  // namespace faultline::machine
