// The x87 and SSE state as tests load it, read it back and compare it.
#pragma once

#include "user/tests/harness.h"

// All eight x87 registers, the control words and all XMM registers, made from a seed.
struct State {
  double x87[8];
  uint32_t xmm[8][4];
  uint16_t control;
  uint32_t mxcsr;
};
inline State make_state(int seed) {
  State s = {};
  for (int i = 0; i < 8; i++) {
    s.x87[i] = seed * 1000 + i + 0.25;
    for (int k = 0; k < 4; k++) s.xmm[i][k] = seed * 100000 + i * 10 + k;
  }
  s.control = seed % 2 ? 0x037f : 0x0f7f;  // rounding: to nearest, or towards zero
  s.mxcsr = seed % 2 ? 0x1f80 : 0x7f80;
  return s;
}
[[gnu::always_inline]] inline void load(const State& s) {
  asm volatile("fninit\n\t fldcw %0\n\t ldmxcsr %1" : : "m"(s.control), "m"(s.mxcsr));
  for (int i = 7; i >= 0; i--) asm volatile("fldl %0" : : "m"(s.x87[i]));
  asm volatile(
      "movups (%0), %%xmm0\n\t movups 16(%0), %%xmm1\n\t movups 32(%0), %%xmm2\n\t movups 48(%0), %%xmm3\n\t"
      "movups 64(%0), %%xmm4\n\t movups 80(%0), %%xmm5\n\t movups 96(%0), %%xmm6\n\t movups 112(%0), %%xmm7"
      :
      : "r"(s.xmm)
      : "memory");
}
[[gnu::always_inline]] inline void store(State& s) {
  asm volatile(
      "movups %%xmm0, (%0)\n\t movups %%xmm1, 16(%0)\n\t movups %%xmm2, 32(%0)\n\t movups %%xmm3, 48(%0)\n\t"
      "movups %%xmm4, 64(%0)\n\t movups %%xmm5, 80(%0)\n\t movups %%xmm6, 96(%0)\n\t movups %%xmm7, 112(%0)"
      :
      : "r"(s.xmm)
      : "memory");
  asm volatile("fnstcw %0\n\t stmxcsr %1" : "=m"(s.control), "=m"(s.mxcsr));
  for (int i = 0; i < 8; i++) asm volatile("fstpl %0" : "=m"(s.x87[i]));
  asm volatile("fninit");
  uint32_t usual = 0x1f80;
  asm volatile("ldmxcsr %0" : : "m"(usual));
}
[[gnu::always_inline]] inline long raw_call(long number, long a = 0, long b = 0, long c = 0) {
  asm volatile("int $0x80" : "+a"(number) : "b"(a), "c"(b), "d"(c) : "memory");
  return number;
}
inline void compare(const State& got, const State& expected) {
  for (int i = 0; i < 8; i++) {
    if (got.x87[i] != expected.x87[i]) FAIL("st(%d) is %f, expected %f", i, got.x87[i], expected.x87[i]);
    for (int k = 0; k < 4; k++)
      if (got.xmm[i][k] != expected.xmm[i][k]) FAIL("xmm%d[%d] is %u, expected %u", i, k, got.xmm[i][k], expected.xmm[i][k]);
  }
  CHECK_EQ(got.control, expected.control);
  CHECK_EQ(got.mxcsr & 0xffc0, expected.mxcsr & 0xffc0);
}
