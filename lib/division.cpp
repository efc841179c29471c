// See division.h. Warren, Hacker's Delight, 2nd edition, 9-5.
#include "lib/division.h"

#include <machine/cpu_inline.h>

#include <bit>

namespace faultline {

namespace {

constexpr uint32_t low(uint64_t number) { return static_cast<uint32_t>(number); }
constexpr uint32_t high(uint64_t number) { return static_cast<uint32_t>(number >> 32); }

}  // namespace

Division divide(uint64_t number, uint64_t divisor) {
  if (high(divisor) == 0) {
    uint32_t above = 0, rest = high(number);
    if (rest >= low(divisor)) {
      machine::WordDivision first = machine::divide_by_word(0, rest, low(divisor));
      above = first.quotient;
      rest = first.remainder;
    }
    machine::WordDivision second = machine::divide_by_word(rest, low(number), low(divisor));
    return {uint64_t{above} << 32 | second.quotient, second.remainder};
  }
  // By the divisor's first 32 significant bits; half the number, so that the quotient fits. It is right or one too large.
  uint32_t shift = static_cast<uint32_t>(std::countl_zero(high(divisor)));
  uint64_t half = number >> 1;
  uint32_t estimate = machine::divide_by_word(high(half), low(half), high(divisor << shift)).quotient;
  uint64_t quotient = uint64_t{estimate} << shift >> 31;
  if (quotient != 0) quotient--;
  uint64_t remainder = number - quotient * divisor;
  if (remainder < divisor) return {quotient, remainder};
  return {quotient + 1, remainder - divisor};
}

SignedDivision divide_signed(int64_t number, int64_t divisor) {
  auto magnitude = [](int64_t value) { return value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value); };
  Division result = divide(magnitude(number), magnitude(divisor));
  bool is_negative = (number < 0) != (divisor < 0);
  return {static_cast<int64_t>(is_negative ? 0 - result.quotient : result.quotient),
          static_cast<int64_t>(number < 0 ? 0 - result.remainder : result.remainder)};
}

}  // namespace faultline
