// From readings of the time stamp counter to nanoseconds: the kernel's clock and the vDSO's are this one.
#pragma once

#include <cstdint>

namespace faultline {

// cycles * rate / 2^32, in two multiplications: nothing is read more often than the clock.
inline uint64_t clock_scaled(uint64_t cycles, const uint32_t& rate) {
  uint32_t low = static_cast<uint32_t>(cycles), high = static_cast<uint32_t>(cycles >> 32), low_part;
  asm("mull %[rate]\n\t"
      "movl %%edx, %[low_part]\n\t"
      "movl %[high], %%eax\n\t"
      "mull %[rate]\n\t"
      "addl %[low_part], %%eax\n\t"
      "adcl $0, %%edx"
      : "+a"(low), "=&d"(high), [low_part] "=&r"(low_part)
      : [rate] "m"(rate), [high] "r"(high)
      : "cc");
  return low | uint64_t{high} << 32;
}

}  // namespace faultline
