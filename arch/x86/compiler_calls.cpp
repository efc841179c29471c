// What compilers call by names of their own (GCC internals manual, "The GCC low-level runtime library"). The kernel passes arguments in
// registers (-mregparm), which libgcc does not know of, so that these are ours; one that is missing does not link.
#include <cstdint>

#include "lib/division.h"

namespace faultline {

extern "C" {
uint64_t unsigned_quotient(uint64_t number, uint64_t divisor) asm("__udivdi3");
uint64_t unsigned_remainder(uint64_t number, uint64_t divisor) asm("__umoddi3");
uint64_t unsigned_division(uint64_t number, uint64_t divisor, uint64_t* remainder) asm("__udivmoddi4");
int64_t signed_quotient(int64_t number, int64_t divisor) asm("__divdi3");
int64_t signed_remainder(int64_t number, int64_t divisor) asm("__moddi3");
int trailing_zeros(uint64_t number) asm("__ctzdi2");
int ones(uint32_t number) asm("__popcountsi2");

uint64_t unsigned_quotient(uint64_t number, uint64_t divisor) { return divide(number, divisor).quotient; }
uint64_t unsigned_remainder(uint64_t number, uint64_t divisor) { return divide(number, divisor).remainder; }
uint64_t unsigned_division(uint64_t number, uint64_t divisor, uint64_t* remainder) {
  Division result = divide(number, divisor);
  if (remainder) *remainder = result.remainder;
  return result.quotient;
}
int64_t signed_quotient(int64_t number, int64_t divisor) { return divide_signed(number, divisor).quotient; }
int64_t signed_remainder(int64_t number, int64_t divisor) { return divide_signed(number, divisor).remainder; }

int trailing_zeros(uint64_t number) {
  uint32_t low = static_cast<uint32_t>(number), high = static_cast<uint32_t>(number >> 32);
  return low != 0 ? __builtin_ctz(low) : 32 + __builtin_ctz(high);
}

int ones(uint32_t number) {
  number -= number >> 1 & 0x55555555;
  number = (number & 0x33333333) + (number >> 2 & 0x33333333);
  number = (number + (number >> 4)) & 0x0f0f0f0f;
  return static_cast<int>(number * 0x01010101 >> 24);
}
}

}  // namespace faultline
