// Rows that calibrate the machine, null system calls, and signals.
#pragma once
#include "measure.h"

// ---------------------------------------------------------------- calibration
static i32 r_loop() {
  REPS(5) {
    u64 t0 = tsc();
    asm volatile("mov $1000000,%%ecx\n1: dec %%ecx\n jnz 1b" ::: "ecx", "cc");
    rec(tsc() - t0, 1000000);
  }
  return 0;
}
static i32 r_rdtsc() {
  REPS(9) TIMED(1, );
  return 0;
}
static u32 *cal_a = (u32*)g_buf, *cal_b = (u32*)(g_buf + 65536);
#define STRROW(fn, insn, cnt)                                                    \
  static i32 fn() {                                                              \
    REPS(9) {                                                                    \
      void* d = cal_a;                                                           \
      const void* s = cal_b;                                                     \
      u32 c = cnt;                                                               \
      u64 t0 = tsc();                                                            \
      asm volatile("rep " insn : "+D"(d), "+S"(s), "+c"(c) : "a"(0) : "memory"); \
      rec(tsc() - t0, 1);                                                        \
    }                                                                            \
    return 0;                                                                    \
  }
STRROW(r_stosd, "stosl", 1024)
STRROW(r_stosb, "stosb", 4096) STRROW(r_movsd, "movsl", 1024) STRROW(r_movsb, "movsb", 4096) static i32 r_movzero() {
  REPS(9) {
    u32 p = (u32)cal_a, n = PAGE / 64;
    u64 t0 = tsc();
    asm volatile("1:\n.irp o,0,4,8,12,16,20,24,28,32,36,40,44,48,52,56,60\n mov %2,\\o(%0)\n.endr\n add $64,%0\n dec %1\n jnz 1b"
                 : "+r"(p), "+r"(n)
                 : "r"(0)
                 : "memory", "cc");
    rec(tsc() - t0, 1);
  }
  return 0;
}
static i32 r_ssezero() {
  REPS(9) {
    u32 p = (u32)cal_a, n = PAGE / 128;
    u64 t0 = tsc();
    asm volatile("xorps %%xmm0,%%xmm0\n1:\n.irp o,0,16,32,48,64,80,96,112\n movaps %%xmm0,\\o(%0)\n.endr\n add $128,%0\n dec %1\n jnz 1b"
                 : "+r"(p), "+r"(n)::"memory", "cc");
    rec(tsc() - t0, 1);
  }
  return 0;
}
static i32 r_ssecopy() {
  REPS(9) {
    u32 p = (u32)cal_a, q = (u32)cal_b, n = PAGE / 64;
    u64 t0 = tsc();
    asm volatile(
        "1:\n movaps (%1),%%xmm0\n movaps 16(%1),%%xmm1\n movaps 32(%1),%%xmm2\n movaps 48(%1),%%xmm3\n"
        " movaps %%xmm0,(%0)\n movaps %%xmm1,16(%0)\n movaps %%xmm2,32(%0)\n movaps %%xmm3,48(%0)\n add $64,%0\n add $64,%1\n dec %2\n jnz "
        "1b"
        : "+r"(p), "+r"(q), "+r"(n)::"memory", "cc");
    rec(tsc() - t0, 1);
  }
  return 0;
}

// ---------------------------------------------------------------- system calls
static i32 r_getppid() {
  TRY(sc0(NR_getppid));
  REPS(21) TIMED(1000, LOOP(1000, sc0(NR_getppid)));
  return 0;
}
static i32 devrow(const char* path, i32 nr, u32 flags) {
  i32 fd = TRY(sc3(NR_open, (u32)path, flags, 0));
  char c = 0;
  TRY(sc3(nr, (u32)fd, (u32)&c, 1));
  REPS(21) TIMED(1000, LOOP(1000, sc3(nr, (u32)fd, (u32)&c, 1)));
  return 0;
}
static i32 r_rdzero() { return devrow("/dev/zero", NR_read, 0); }
static i32 r_wrnull() { return devrow("/dev/null", NR_write, 1); }
static i32 r_gtod() {
  i32 tv[2];
  TRY(sc2(NR_gettimeofday, (u32)tv, 0));
  REPS(21) TIMED(1000, LOOP(1000, sc2(NR_gettimeofday, (u32)tv, 0)));
  return 0;
}
static i32 r_cgt() {
  i32 ts[2];
  TRY(sc2(NR_clock_gettime, 1, (u32)ts));
  REPS(21) TIMED(1000, LOOP(1000, sc2(NR_clock_gettime, 1, (u32)ts)));
  return 0;
}

// ---------------------------------------------------------------- signals
struct KSigaction {
  u32 handler, flags, restorer, mask[2];
};
static volatile u32 g_sigs, g_siglimit;
static u32 g_faultpage;
static void on_usr1(i32) { g_sigs = g_sigs + 1; }
static void on_segv(i32) {
  g_sigs = g_sigs + 1;
  if (g_sigs == g_siglimit) sc3(NR_mprotect, g_faultpage, PAGE, RD | WR);
}
extern "C" void sigret();
asm("sigret:\n\tpop %eax\n\tmov $119, %eax\n\tint $0x80\n");  // plain sigreturn: pops the signal number first, as libc does
static i32 xsigaction(u32 sig, void (*h)(i32)) {
  KSigaction a = {(u32)h, 0x04000000, (u32)sigret, {0, 0}};  // SA_RESTORER, no SA_SIGINFO
  return sc4(NR_rt_sigaction, sig, (u32)&a, 0, 8);
}
static i32 r_siginst() {
  KSigaction a = {(u32)on_usr1, 0x04000000, (u32)sigret, {0, 0}};
  TRY(sc4(NR_rt_sigaction, 10, (u32)&a, 0, 8));
  REPS(21) TIMED(1000, LOOP(1000, sc4(NR_rt_sigaction, 10, (u32)&a, 0, 8)));
  return 0;
}
static i32 r_sigdeliver() {
  TRY(xsigaction(10, on_usr1));
  i32 pid = sc0(NR_getpid);
  TRY(sc2(NR_kill, (u32)pid, 10));
  if (g_sigs != 1) return -5;
  REPS(21) TIMED(200, LOOP(200, sc2(NR_kill, (u32)pid, 10)));
  return g_sigs == 1 + 21 * 200 ? 0 : -5;
}
static i32 r_protfault() {
  i32 p = TRY(xmmap(PAGE, RD | WR, PRIVATE | ANON));
  *(volatile u32*)p = 1;
  g_faultpage = (u32)p;
  TRY(xsigaction(11, on_segv));
  REPS(13) {
    TRY(sc3(NR_mprotect, (u32)p, PAGE, RD));
    g_sigs = 0;
    g_siglimit = 100;
    TIMED(100, *(volatile u32*)p = 2);  // refaults until the handler unprotects (1 mprotect in 100)
    if (g_sigs != 100) return -5;
  }
  return 0;
}
