// Rows for communication between processes, switching, fork and exec.
#pragma once
#include "measure.h"

// ---------------------------------------------------------------- IPC and switching
static i32 pingpong(i32 rd_p, i32 wr_p, i32 rd_c, i32 wr_c, u32 sz) {  // p = our ends, c = the child's ends
  u64 m = 1;
  i32 pid = TRY(sc0(NR_fork));
  if (!pid) {
    sc1(NR_alarm, 30);
    while (sc3(NR_read, (u32)rd_c, (u32)&m, sz) == (i32)sz && m != 99 && sc3(NR_write, (u32)wr_c, (u32)&m, sz) == (i32)sz) {
    }
    xexit(0);
  }
  for (int rep = 0; rep < 22; rep++) {
    u64 t0 = tsc();
    LOOP(100, if (sc3(NR_write, (u32)wr_p, (u32)&m, sz) != (i32)sz || sc3(NR_read, (u32)rd_p, (u32)&m, sz) != (i32)sz) return -5)
    if (rep) rec(tsc() - t0, 100);
  }
  m = 99;
  sc3(NR_write, (u32)wr_p, (u32)&m, sz);
  xwait(pid);
  return 0;
}
static i32 r_pipepp() {
  i32 a[2], b[2];
  TRY(sc1(NR_pipe, (u32)a));
  TRY(sc1(NR_pipe, (u32)b));
  return pingpong(b[0], a[1], a[0], b[1], 1);
}
static i32 mksockpair(i32* s) {
  i32 r = sc4(NR_socketpair, 1, 1, 0, (u32)s);
  if (bad(r)) {
    u32 v[4] = {1, 1, 0, (u32)s};
    r = sc2(NR_socketcall, 8, (u32)v);
  }
  return r;
}
static i32 r_sockpp() {
  i32 s[2];
  TRY(mksockpair(s));
  return pingpong(s[0], s[0], s[1], s[1], 1);
}
static i32 r_evpp() {
  i32 a = TRY(sc2(NR_eventfd2, 0, 0)), b = TRY(sc2(NR_eventfd2, 0, 0));
  return pingpong(b, a, a, b, 8);
}
static i32 r_pipebw() {
  i32 a[2];
  TRY(sc1(NR_pipe, (u32)a));
  touch_w((u32)g_buf, 65536);
  i32 pid = TRY(sc0(NR_fork));
  if (!pid) {
    sc1(NR_alarm, 30);
    sc1(NR_close, (u32)a[0]);
    while (sc3(NR_write, (u32)a[1], (u32)g_buf, 65536) > 0) {
    }
    xexit(0);
  }
  for (int rep = 0; rep < 11; rep++) {
    u64 t0 = tsc();
    LOOP(16, if (drain_exact(a[0], g_buf, 65536)) return -5)
    if (rep) rec(tsc() - t0, 16);
  }
  sc2(NR_kill, (u32)pid, 9);
  xwait(pid);
  return 0;
}
static i32 r_futexpp() {
  i32 p = TRY(xmmap(PAGE, RD | WR, SHARED | ANON));
  volatile u32* f = (volatile u32*)p;
  *f = 0;
  i32 pid = TRY(sc0(NR_fork));
  if (!pid) {
    sc1(NR_alarm, 30);
    for (;;) {
      while (*f == 0) sc4(NR_futex, (u32)f, 0, 0, 0);  // FUTEX_WAIT while 0
      if (*f == 2) xexit(0);
      *f = 0;
      sc3(NR_futex, (u32)f, 1, 1);  // FUTEX_WAKE 1
    }
  }
  for (int rep = 0; rep < 22; rep++) {
    u64 t0 = tsc();
    LOOP(100, *f = 1; TRY(sc3(NR_futex, (u32)f, 1, 1)); while (*f == 1) if (sc4(NR_futex, (u32)f, 0, 1, 0) == -38) return -38)
    if (rep) rec(tsc() - t0, 100);
  }
  *f = 2;
  sc3(NR_futex, (u32)f, 1, 1);
  xwait(pid);
  return 0;
}
static i32 r_yield() {
  TRY(sc0(NR_sched_yield));
  i32 p = TRY(xmmap(PAGE, RD | WR, SHARED | ANON));
  volatile u32* c = (volatile u32*)p;
  c[0] = 0;
  c[1] = 0;
  i32 pid = TRY(sc0(NR_fork));
  if (!pid) {
    sc1(NR_alarm, 30);
    while (!c[1]) {
      c[0] = c[0] + 1;
      sc0(NR_sched_yield);
    }
    xexit(0);
  }
  LOOP(50, sc0(NR_sched_yield));
  REPS(21) {
    u32 before = c[0];
    u64 t0 = tsc();
    LOOP(500, sc0(NR_sched_yield));
    u64 dt = tsc() - t0;
    rec(dt, 500 + c[0] - before);  // per yield, either side
  }
  c[1] = 1;
  xwait(pid);
  return 0;
}

// A thread that ends at once, made and waited for as pthread_create() and pthread_join() do it, on a stack that is there already.
static i32 thread_and_join(u32 stack_top, volatile u32* tid) {
  // VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, PARENT_SETTID, CHILD_CLEARTID
  const u32 flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x100000 | 0x200000;
  i32 result;
  asm volatile("int $0x80\n\ttest %%eax, %%eax\n\tjnz 1f\n\tmov $1, %%eax\n\txor %%ebx, %%ebx\n\tint $0x80\n1:"
               : "=a"(result)
               : "a"(NR_clone), "b"(flags), "c"(stack_top), "d"(tid), "S"(0), "D"(tid)
               : "memory");
  if (bad(result)) return result;
  for (u32 value; (value = *tid) != 0;) sc4(NR_futex, (u32)tid, 0, value, 0);
  return 0;
}
static i32 r_thread() {
  static volatile u32 tid;
  u32 top = (u32)TRY(xmmap(16 * PAGE, RD | WR, PRIVATE | ANON)) + 16 * PAGE;
  *(volatile u32*)(top - 4) = 0;
  TRY(thread_and_join(top, &tid));
  REPS(15) TIMED(50, LOOP(50, TRY(thread_and_join(top, &tid))));
  return 0;
}

// ---------------------------------------------------------------- processes
static i32 forkexit(int reps, int ops) {
  i32 pid = TRY(sc0(NR_fork));
  if (!pid) xexit(0);
  xwait(pid);
  REPS(reps) TIMED((u32)ops, LOOP(ops, i32 k = sc0(NR_fork); if (!k) xexit(0); if (bad(k)) return k; xwait(k)));
  return 0;
}
static i32 forkcall(int reps) {
  REPS(reps) {
    u64 t0 = tsc();
    i32 k = sc0(NR_fork);
    u64 t1 = tsc();
    if (!k) xexit(0);
    if (bad(k)) return k;
    rec(t1 - t0, 1);
    xwait(k);
  }
  return 0;
}
static i32 dirty_heap(u32 len) {
  i32 p = TRY(xmmap(len, RD | WR, PRIVATE | ANON));
  touch_w((u32)p, len);
  return 0;
}
static i32 r_fork() { return forkexit(15, 10); }
static i32 r_forkcall() { return forkcall(31); }
static i32 r_fork16() {
  TRY(dirty_heap(16 * MiB));
  return forkexit(9, 1);
}
static i32 r_forkcall16() {
  TRY(dirty_heap(16 * MiB));
  return forkcall(9);
}
// Where there is no room for them, -ENOMEM rather than a fight for memory.
static i32 r_forkcall512() {
  u64 free;
  TRY(freemem(&free));
  if (free < (u64)(512 + 64) * MiB) return -12;
  TRY(dirty_heap(512 * MiB));
  return forkcall(9);
}
static i32 cowrow(bool in_child) {
  enum { LEN = 4 * MiB, NP = LEN / PAGE };
  i32 p = TRY(xmmap(LEN, RD | WR, PRIVATE | ANON));
  touch_w((u32)p, LEN);
  i32 pf[2];
  TRY(sc1(NR_pipe, (u32)pf));
  for (int rep = 0; rep < 10; rep++) {
    u64 dt = 0;
    i32 k = TRY(sc0(NR_fork));
    if (!k) {
      if (in_child) {
        u64 t0 = tsc();
        touch_w((u32)p, LEN);
        dt = tsc() - t0;
      }
      sc3(NR_write, (u32)pf[1], (u32)&dt, 8);
      xexit(0);
    }
    TRY(drain_exact(pf[0], &dt, 8));
    xwait(k);
    if (!in_child) {
      u64 t0 = tsc();
      touch_w((u32)p, LEN);
      dt = tsc() - t0;
    }
    if (rep) rec(dt, NP);
  }
  return 0;
}
static i32 r_cow() { return cowrow(true); }
static i32 r_cowsole() { return cowrow(false); }
static i32 execrow(const char* path, bool vf) {
  char* av[2] = {(char*)path, 0};
  for (int rep = 0; rep < 13; rep++) {
    u64 t0 = tsc();
    LOOP(
        4, i32 st = -1; i32 k = vf ? sc0(NR_vfork) : sc0(NR_fork); if (!k) {
          i32 e = sc3(NR_execve, (u32)path, (u32)av, (u32)g_envp);
          sc1(NR_exit, (u32)-e & 255);
        } if (bad(k)) return k;
        xwait(k, &st); if (st) return -((st >> 8) & 255 ? (st >> 8) & 255 : 5))
    if (rep) rec(tsc() - t0, 4);
  }
  return 0;
}
static i32 r_exec() { return execrow(g_hello, false); }
static i32 r_vexec() { return execrow(g_hello, true); }
static i32 r_exec2() { return execrow(g_hello2, false); }
