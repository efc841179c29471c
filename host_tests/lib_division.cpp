// 64-bit division from 32-bit division, against the compiler's own.
#include "lib/division.h"

#include <gtest/gtest.h>

#include <random>

namespace faultline {
namespace {

void check(uint64_t number, uint64_t divisor) {
  if (divisor == 0) return;
  Division result = divide(number, divisor);
  ASSERT_EQ(result.quotient, number / divisor) << number << " / " << divisor;
  ASSERT_EQ(result.remainder, number % divisor) << number << " % " << divisor;
  auto signed_number = static_cast<int64_t>(number), signed_divisor = static_cast<int64_t>(divisor);
  if (signed_number == INT64_MIN && signed_divisor == -1) return;
  SignedDivision signed_result = divide_signed(signed_number, signed_divisor);
  ASSERT_EQ(signed_result.quotient, signed_number / signed_divisor) << signed_number << " / " << signed_divisor;
  ASSERT_EQ(signed_result.remainder, signed_number % signed_divisor) << signed_number << " % " << signed_divisor;
}

TEST(Division, AgreesAtTheBordersOfWords) {
  std::vector<uint64_t> borders;
  for (uint32_t bit = 0; bit < 64; bit++)
    for (int64_t around = -2; around <= 2; around++) borders.push_back((uint64_t{1} << bit) + static_cast<uint64_t>(around));
  for (uint64_t number : borders)
    for (uint64_t divisor : borders) check(number, divisor);
}

TEST(Division, AgreesForNumbersOfAllLengths) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200000; i++) check(random() >> random() % 64, random() >> random() % 64);
}

}  // namespace
}  // namespace faultline
