// Rows for files, readiness (select, poll, epoll) and the memory that a process or a pipe costs the kernel.
#pragma once
#include "rows_memory.h"
#include "rows_process.h"

// ---------------------------------------------------------------- files
static i32 r_read4k() {
  i32 fd = TRY(openfile());
  touch_w((u32)g_buf, PAGE);
  REPS(11) {
    sc3(NR_lseek, (u32)fd, 0, 0);
    TIMED(256, LOOP(256, if (sc3(NR_read, (u32)fd, (u32)g_buf, PAGE) != PAGE) return -5));
  }
  return 0;
}
static i32 r_read1m() {
  i32 fd = TRY(openfile());
  touch_w((u32)g_buf, MiB);
  REPS(9) {
    sc3(NR_lseek, (u32)fd, 0, 0);
    TIMED(1, if (drain_exact(fd, g_buf, MiB)) return -5);
  }
  return 0;
}
static i32 r_write4k() {
  i32 fd = TRY(openfile());
  touch_w((u32)g_buf, PAGE);
  REPS(11) {
    sc3(NR_lseek, (u32)fd, 0, 0);
    TIMED(256, LOOP(256, if (sc3(NR_write, (u32)fd, (u32)g_buf, PAGE) != PAGE) return -5));
  }
  return 0;
}
static i32 r_append4k() {
  touch_w((u32)g_buf, PAGE);
  for (int rep = 0; rep < 10; rep++) {
    i32 fd = TRY(sc3(NR_open, (u32)g_file2, 0102, 0600));
    u64 t0 = tsc();
    LOOP(256, if (sc3(NR_write, (u32)fd, (u32)g_buf, PAGE) != PAGE) return -5);
    u64 dt = tsc() - t0;
    if (rep) rec(dt, 256);
    sc1(NR_close, (u32)fd);
    sc1(NR_unlink, (u32)g_file2);
  }
  return 0;
}
static i32 r_open() {
  TRY(openfile());
  REPS(21) TIMED(100, LOOP(100, i32 f = openfile(); sc1(NR_close, (u32)f)));
  return 0;
}
static i32 r_stat() {
  u8 st[128];
  TRY(sc2(NR_stat64, (u32)g_file, (u32)st));
  REPS(21) TIMED(100, LOOP(100, sc2(NR_stat64, (u32)g_file, (u32)st)));
  return 0;
}
static i32 r_fstat() {
  u8 st[128];
  i32 f = TRY(openfile());
  TRY(sc2(NR_fstat64, (u32)f, (u32)st));
  REPS(21) TIMED(100, LOOP(100, sc2(NR_fstat64, (u32)f, (u32)st)));
  return 0;
}
static i32 r_creat() {
  i32 f = TRY(sc3(NR_open, (u32)g_file2, 0102, 0600));
  sc1(NR_close, (u32)f);
  TRY(sc1(NR_unlink, (u32)g_file2));
  REPS(21) TIMED(50, LOOP(50, i32 g = sc3(NR_open, (u32)g_file2, 0102, 0600); sc1(NR_close, (u32)g); sc1(NR_unlink, (u32)g_file2)));
  return 0;
}

// ---------------------------------------------------------------- readiness
static i32 g_fds[1024];
static i32 g_pipe[2];
static i32 manyfds(int n) {  // n descriptors of one empty pipe: never readable
  u32 lim[2] = {4096, 4096};
  sc2(NR_setrlimit, 7, (u32)lim);
  TRY(sc1(NR_pipe, (u32)g_pipe));
  g_fds[0] = g_pipe[0];
  for (int i = 1; i < n; i++) g_fds[i] = TRY(sc1(NR_dup, (u32)g_pipe[0]));
  return 0;
}
static i32 selrow(int n) {
  TRY(manyfds(n));
  u32 set[32], src[32];
  i32 tv[2], max = 0;
  for (int i = 0; i < 32; i++) src[i] = 0;
  for (int i = 0; i < n; i++) {
    src[g_fds[i] / 32] |= 1u << (g_fds[i] % 32);
    if (g_fds[i] > max) max = g_fds[i];
  }
#define SEL()                                                 \
  ({                                                          \
    for (int w = 0; w <= max / 32; w++) set[w] = src[w];      \
    tv[0] = tv[1] = 0;                                        \
    sc5(NR_newselect, (u32)max + 1, (u32)set, 0, 0, (u32)tv); \
  })
  TRY(SEL());
  REPS(11) TIMED(50, LOOP(50, SEL()));
  return 0;
}
static i32 r_sel10() { return selrow(10); }
static i32 r_sel100() { return selrow(100); }
static i32 r_sel250() { return selrow(250); }
struct PollFd {
  i32 fd;
  u16 ev, rev;
};
static PollFd g_pfd[1024];
static i32 pollrow(int n) {
  TRY(manyfds(n));
  for (int i = 0; i < n; i++) {
    g_pfd[i].fd = g_fds[i];
    g_pfd[i].ev = 1;
  }
  TRY(sc3(NR_poll, (u32)g_pfd, (u32)n, 0));
  REPS(11) TIMED(20, LOOP(20, sc3(NR_poll, (u32)g_pfd, (u32)n, 0)));
  return 0;
}
static i32 r_poll10() { return pollrow(10); }
static i32 r_poll100() { return pollrow(100); }
static i32 r_poll1000() { return pollrow(1000); }
struct __attribute__((packed)) EpEvent {
  u32 ev;
  u64 data;
};
static i32 eprow(int n) {  // n registered, exactly one (another pipe) ready
  i32 ep = TRY(sc1(NR_epoll_create1, 0)), rp[2];
  TRY(sc1(NR_pipe, (u32)rp));
  sc3(NR_write, (u32)rp[1], (u32) "x", 1);
  TRY(manyfds(n));
  EpEvent e = {1, 7}, out[8];
  TRY(sc4(NR_epoll_ctl, (u32)ep, 1, (u32)rp[0], (u32)&e));
  for (int i = 1; i < n; i++) TRY(sc4(NR_epoll_ctl, (u32)ep, 1, (u32)g_fds[i], (u32)&e));
  if (sc4(NR_epoll_wait, (u32)ep, (u32)out, 8, 0) != 1) return -5;
  REPS(21) TIMED(100, LOOP(100, sc4(NR_epoll_wait, (u32)ep, (u32)out, 8, 0)));
  return 0;
}
static i32 r_ep10() { return eprow(10); }
static i32 r_ep100() { return eprow(100); }
static i32 r_ep1000() { return eprow(1000); }

// ---------------------------------------------------------------- kernel memory (bytes, not ticks)
static void settle() {
  u32 ts[2] = {1, 200000000};
  sc2(NR_nanosleep, (u32)ts, 0);
}  // deferred frees and counters
// Cold, one sample: caches filled by earlier objects would hide the cost. The ballast empties
// the allocator's per-CPU page list first, whose pages do not count as free.
static i32 freebefore(u64* out) {
  TRY(dirty_heap(16 * MiB));
  settle();
  return freemem(out);
}
static void recbytes(u64 before, u64 after, u32 n) { rec(before > after ? before - after : 0, n); }
static i32 r_memproc() {
  enum { N = 256 };
  i32 k[N], pf[2];
  char c;
  u64 a, b;
  TRY(sc1(NR_pipe, (u32)pf));
  TRY(freemem(&a));
  i32 first = TRY(sc0(NR_fork));  // the ballast lives in a process of its own: forks stay small
  if (!first) {
    i32 r = freebefore(&a);
    sc3(NR_write, (u32)pf[1], (u32)(r ? "e" : "r"), 1);
    sc0(NR_pause);
    xexit(0);
  }
  TRY(drain_exact(pf[0], &c, 1));
  TRY(freemem(&a));
  for (int i = 0; i < N; i++) {
    k[i] = TRY(sc0(NR_fork));
    if (!k[i]) {
      sc3(NR_write, (u32)pf[1], (u32) "r", 1);
      sc0(NR_pause);
      xexit(0);
    }
  }
  for (int i = 0; i < N; i++) TRY(drain_exact(pf[0], &c, 1));
  settle();
  TRY(freemem(&b));
  recbytes(a, b, N);
  for (int i = 0; i < N; i++) {
    sc2(NR_kill, (u32)k[i], 9);
    xwait(k[i]);
  }
  sc2(NR_kill, (u32)first, 9);
  xwait(first);
  return 0;
}
static i32 r_mempipe() {
  enum { N = 1000 };
  i32 pf[2];
  u64 a, b;
  u32 lim[2] = {4096, 4096};
  sc2(NR_setrlimit, 7, (u32)lim);
  TRY(freebefore(&a));
  for (int i = 0; i < N; i++) {
    TRY(sc1(NR_pipe, (u32)pf));
    sc3(NR_write, (u32)pf[1], (u32) "x", 1);
  }
  settle();
  TRY(freemem(&b));
  recbytes(a, b, N);
  return 0;
}
