// Prints the time-stamp counter: under QEMU's -icount shift=0 the guest instructions since power-on.
#include "sys32.h"

extern "C" __attribute__((used, noreturn)) void start_c() {
  u32 low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  char text[24];
  char* p = text + sizeof text;
  *--p = '\n';
  // 64 bits by 10 without libgcc: long division, a half at a time.
  do {
    u32 rest = high % 10;
    high /= 10;
    u32 digit;
    asm("divl %4" : "=a"(low), "=d"(digit) : "0"(low), "1"(rest), "r"(10));
    *--p = static_cast<char>('0' + digit);
  } while (high != 0 || low != 0);
  sc3(NR_write, 1, reinterpret_cast<u32>(p), static_cast<u32>(text + sizeof text - p));
  for (;;) sc1(NR_exit, 0);
}
asm(".globl _start\n_start:\n\tcall start_c\n");
