// What every row uses: the tick counter, output without a C library, samples, and small helpers.
#pragma once
#include "sys32.h"

extern "C" {
u32 sc_arg6;
}
extern "C" void* memset(void* d, int c, decltype(sizeof 0) n) {
  u8* p = (u8*)d;
  while (n--) {
    *p++ = (u8)c;
    asm volatile("" ::: "memory");
  }
  return d;
}
extern "C" void* memcpy(void* d, const void* s, decltype(sizeof 0) n) {
  u8* p = (u8*)d;
  const u8* q = (const u8*)s;
  while (n--) {
    *p++ = *q++;
    asm volatile("" ::: "memory");
  }
  return d;
}

INL u64 tsc() {
  u32 a, d;
  asm volatile("rdtsc" : "=a"(a), "=d"(d)::"memory");
  return ((u64)d << 32) | a;
}

static u64 div64(u64 n, u32 d) {  // 64/32 without libgcc
  u32 hi = (u32)(n >> 32), lo = (u32)n, qh = hi / d, rem = hi % d, ql;
  asm("divl %3" : "=a"(ql), "+d"(rem) : "0"(lo), "r"(d));
  return ((u64)qh << 32) | ql;
}

// ---------------------------------------------------------------- output
static u32 slen(const char* s) {
  u32 n = 0;
  while (s[n]) n++;
  return n;
}
static bool starts(const char* s, const char* p) {
  while (*p)
    if (*s++ != *p++) return false;
  return true;
}
static char obuf[512];
static u32 on;
static void och(char c) {
  if (on < sizeof obuf) obuf[on++] = c;
}
static void ostr(const char* s, int width = 0) {
  int n = (int)slen(s);
  while (*s) och(*s++);
  for (; n < width; n++) och(' ');
}
static void onum(u64 v, int width, int decimals = 0) {
  char t[32];
  int n = 0;
  do {
    u64 q = div64(v, 10);
    t[n++] = (char)('0' + (u32)(v - q * 10));
    v = q;
    if (decimals && n == decimals) t[n++] = '.';
  } while (v || (decimals && n < decimals + 2));
  for (int i = n; i < width; i++) och(' ');
  while (n) och(t[--n]);
}
static void flush() {
  u32 o = 0;
  while (o < on) {
    i32 r = sc3(NR_write, 1, (u32)(obuf + o), on - o);
    if (r <= 0) break;
    o += (u32)r;
  }
  on = 0;
  sc3(NR_ioctl, 1, 0x5409, 1);  // TCSBRK,1 = drain: no serial interrupts leak into the next row
}

// ---------------------------------------------------------------- samples
enum { MAXREP = 64 };
struct Samples {
  u32 n;
  u64 v[MAXREP];
} S;
static void rec(u64 dt, u32 ops) {
  if (S.n < MAXREP) S.v[S.n++] = div64(dt * 10, ops);
}
struct Result {
  i32 rc;
  u32 n;
  u64 min, med;
};
static void digest(Result& r) {
  for (u32 i = 1; i < S.n; i++)
    for (u32 j = i; j && S.v[j] < S.v[j - 1]; j--) {
      u64 t = S.v[j];
      S.v[j] = S.v[j - 1];
      S.v[j - 1] = t;
    }
  r.n = S.n;
  r.min = S.n ? S.v[0] : 0;
  r.med = S.n ? S.v[S.n / 2] : 0;
}

// ---------------------------------------------------------------- small helpers
enum { PAGE = 4096, MiB = 1 << 20, RD = 1, WR = 2, SHARED = 1, PRIVATE = 2, ANON = 0x20, POPULATE = 0x8000 };
static const char *g_dir = "/tmp", *g_hello = "/hello", *g_hello2 = "/hello_libc";
static char g_file[256], g_file2[256];
static char* g_envp[1] = {0};
static u8 g_buf[MiB] __attribute__((aligned(4096)));

INL bool bad(i32 r) { return (u32)r > (u32)-4096; }
static i32 xmmap(u32 len, u32 prot, u32 flags, i32 fd = -1) { return sc6(NR_mmap2, 0, len, prot, flags, (u32)fd, 0); }
INL void xmunmap(i32 p, u32 len) { sc2(NR_munmap, (u32)p, len); }
INL i32 xwait(i32 pid, i32* st = 0) { return sc4(NR_wait4, (u32)pid, (u32)st, 0, 0); }
static void xexit(i32 c) {
  for (;;) {
    sc1(NR_exit_group, (u32)c);
    sc1(NR_exit, (u32)c);
  }
}
INL void touch_w(u32 p, u32 len, u32 step = PAGE) {
  for (u32 e = p + len; p != e; p += step) *(volatile u32*)p = p;
}
INL void touch_r(u32 p, u32 len, u32 step = PAGE) {
  for (u32 e = p + len; p != e; p += step) (void)*(volatile u32*)p;
}
#define TRY(x)              \
  ({                        \
    i32 r_ = (x);           \
    if (bad(r_)) return r_; \
    r_;                     \
  })
#define REPS(n) for (int rep_ = 0; rep_ < (n); rep_++)
#define TIMED(ops, body)   \
  do {                     \
    u64 t0_ = tsc();       \
    body;                  \
    rec(tsc() - t0_, ops); \
  } while (0)
#define LOOP(n, body)            \
  for (int i_ = (n); i_; i_--) { \
    body;                        \
  }
struct SysInfo {
  u32 uptime, loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
  u16 procs, pad;
  u32 totalhigh, freehigh, unit;
  u8 tail[8];
};
static i32 freemem(u64* out) {
  SysInfo si;
  memset(&si, 0, sizeof si);
  TRY(sc1(NR_sysinfo, (u32)&si));
  *out = (u64)si.freeram * (si.unit ? si.unit : 1);
  return 0;
}
static i32 drain_exact(i32 fd, void* p, u32 n) {
  u32 o = 0;
  while (o < n) {
    i32 r = sc3(NR_read, (u32)fd, (u32)p + o, n - o);
    if (r <= 0) return r ? r : -32;
    o += (u32)r;
  }
  return 0;
}
