// Division of 64-bit numbers on a processor that divides by 32 bits.
#pragma once

#include <cstdint>

namespace faultline {

struct Division {
  uint64_t quotient, remainder;
};
// By zero: the processor's exception, as if it had divided itself.
Division divide(uint64_t number, uint64_t divisor);
// Rounded towards zero, the remainder with the sign of the number.
struct SignedDivision {
  int64_t quotient, remainder;
};
SignedDivision divide_signed(int64_t number, int64_t divisor);

}  // namespace faultline
