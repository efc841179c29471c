// Rows for page faults, mappings, brk and the stack.
#pragma once
#include "measure.h"

// ---------------------------------------------------------------- memory
enum { VLEN = 4 * MiB, VPG = VLEN / PAGE };
static i32 r_mmapunmap() {
  TRY(xmmap(65536, RD | WR, PRIVATE | ANON));
  REPS(21) TIMED(100, LOOP(100, i32 p = xmmap(65536, RD | WR, PRIVATE | ANON); xmunmap(p, 65536)));
  return 0;
}
enum Touch { T_WRITE, T_READ, T_READ_THEN_WRITE, T_READ64K, T_UNMAP, T_DONTNEED };
static i32 touchrow(u32 prot, u32 flags, i32 fd, Touch t) {
  for (int rep = 0; rep < 12; rep++) {
    u32 p = (u32)TRY(xmmap(VLEN, prot, flags, fd));
    u64 t0;
    u32 ops = VPG;
    if (t == T_READ_THEN_WRITE) touch_r(p, VLEN);
    if (t == T_UNMAP || t == T_DONTNEED) touch_w(p, VLEN);
    t0 = tsc();
    if (t == T_READ)
      touch_r(p, VLEN);
    else if (t == T_READ64K) {
      touch_r(p, VLEN, 65536);
      ops = VLEN / 65536;
    } else if (t == T_UNMAP)
      xmunmap((i32)p, VLEN);
    else if (t == T_DONTNEED)
      TRY(sc3(NR_madvise, p, VLEN, 4));
    else
      touch_w(p, VLEN);
    u64 dt = tsc() - t0;
    if (rep) rec(dt, ops);
    if (t != T_UNMAP) xmunmap((i32)p, VLEN);
  }
  return 0;
}
static i32 openfile() { return sc3(NR_open, (u32)g_file, 2, 0); }
static i32 r_anonw() { return touchrow(RD | WR, PRIVATE | ANON, -1, T_WRITE); }
static i32 r_anonr() { return touchrow(RD | WR, PRIVATE | ANON, -1, T_READ); }
static i32 r_anonrw() { return touchrow(RD | WR, PRIVATE | ANON, -1, T_READ_THEN_WRITE); }
static i32 r_unmap() { return touchrow(RD | WR, PRIVATE | ANON, -1, T_UNMAP); }
static i32 r_dontneed() { return touchrow(RD | WR, PRIVATE | ANON, -1, T_DONTNEED); }
static i32 r_fshr() { return touchrow(RD | WR, SHARED, TRY(openfile()), T_READ); }
static i32 r_fshr64() { return touchrow(RD | WR, SHARED, TRY(openfile()), T_READ64K); }
static i32 r_fshw() { return touchrow(RD | WR, SHARED, TRY(openfile()), T_WRITE); }
static i32 r_fprw() { return touchrow(RD | WR, PRIVATE, TRY(openfile()), T_WRITE); }
static i32 r_populate() {
  for (int rep = 0; rep < 10; rep++) {
    u64 t0 = tsc();
    i32 p = TRY(xmmap(VLEN, RD | WR, PRIVATE | ANON | POPULATE));
    touch_w((u32)p, VLEN);
    u64 dt = tsc() - t0;
    if (rep) rec(dt, VPG);
    xmunmap(p, VLEN);
  }
  return 0;
}
static i32 mprow(u32 total, u32 off, u32 len) {
  i32 p = TRY(xmmap(total, RD | WR, PRIVATE | ANON));
  touch_w((u32)p, total);
  TRY(sc3(NR_mprotect, (u32)p + off, len, RD));
  TRY(sc3(NR_mprotect, (u32)p + off, len, RD | WR));
  REPS(21) TIMED(200, LOOP(100, sc3(NR_mprotect, (u32)p + off, len, RD); sc3(NR_mprotect, (u32)p + off, len, RD | WR)));
  return 0;
}
static i32 r_mprot16() { return mprow(65536, 0, 65536); }
static i32 r_mprotmid() { return mprow(64 * PAGE, 32 * PAGE, PAGE); }
static i32 r_brk() {
  u32 b0 = (u32)TRY(sc1(NR_brk, 0)), b = (b0 + PAGE - 1) & ~(u32)(PAGE - 1);
  for (int rep = 0; rep < 10; rep++) {
    u64 t0 = tsc();
    if ((u32)sc1(NR_brk, b + VLEN) != b + VLEN) return -12;
    touch_w(b, VLEN);
    u64 dt = tsc() - t0;
    if (rep) rec(dt, VPG);
    sc1(NR_brk, b);
  }
  return 0;
}
static i32 r_stack() {
  enum { NP = 256 };
  i32 pf[2];
  TRY(sc1(NR_pipe, (u32)pf));
  for (int rep = 0; rep < 10; rep++) {
    i32 k = TRY(sc0(NR_fork));
    if (!k) {
      u64 t0 = tsc();  // walk esp down a page at a time, as deep recursion would
      asm volatile("mov %%esp,%%eax\n mov $256,%%ecx\n1: sub $4096,%%esp\n movl $1,(%%esp)\n dec %%ecx\n jnz 1b\n mov %%eax,%%esp" ::
                       : "eax", "ecx", "memory", "cc");
      u64 dt = tsc() - t0;
      sc3(NR_write, (u32)pf[1], (u32)&dt, 8);
      xexit(0);
    }
    u64 dt;
    sc1(NR_close, (u32)pf[1]);
    TRY(drain_exact(pf[0], &dt, 8));
    xwait(k);
    if (rep) rec(dt, NP);
    sc1(NR_close, (u32)pf[0]);
    TRY(sc1(NR_pipe, (u32)pf));
  }
  return 0;
}
