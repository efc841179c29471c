// Rows that go through the page the kernel gives to programs: its system call, and its clock (vdso(7)). n/a where there is none.
#pragma once
#include "measure.h"

static u32 g_sysinfo, g_vdso;  // AT_SYSINFO, AT_SYSINFO_EHDR

static void find_vdso(u32* stack) {
  u32* p = stack + 1 + stack[0] + 1;
  while (*p) p++;
  for (p++; p[0]; p += 2) {
    if (p[0] == 32) g_sysinfo = p[1];
    if (p[0] == 33) g_vdso = p[1];
  }
}

// The value of a dynamic symbol: by the dynamic section's string table, symbol table and old hash table, which has their number.
static u32 vdso_symbol(const char* name) {
  u32 headers = g_vdso + *(u32*)(g_vdso + 28), dynamic = 0, table[12] = {};
  for (u32 i = 0; i < *(u16*)(g_vdso + 44); i++)
    if (*(u32*)(headers + 32 * i) == 2) dynamic = g_vdso + *(u32*)(headers + 32 * i + 8);
  for (u32* d = (u32*)dynamic; d && d[0]; d += 2)
    if (d[0] < 12) table[d[0]] = g_vdso + d[1];
  u32 count = table[4] ? ((u32*)table[4])[1] : 0;
  for (u32 i = 1; i < count; i++) {
    u32* symbol = (u32*)(table[6] + 16 * i);
    const char* its = (const char*)table[5] + symbol[0];
    if (starts(its, name) && starts(name, its)) return g_vdso + symbol[1];
  }
  return 0;
}

// A hundred in a row, so that the loop counts for nothing.
static i32 r_fastppid() {
  if (!g_sysinfo) return -38;
  REPS(21)
  TIMED(1000, LOOP(10, asm volatile(".rept 100\n\tmovl %0, %%eax\n\tcall *%1\n\t.endr"
                                    :
                                    : "i"(NR_getppid), "r"(g_sysinfo)
                                    : "eax", "memory")));
  return 0;
}
static i32 time_clock(const char* name, u32 clock) {
  if (!g_vdso) return -38;
  auto read = (i32(*)(u32, i32*))vdso_symbol(name);
  if (!read) return -38;
  i32 ts[4];
  TRY(read(clock, ts));
  REPS(21) TIMED(1000, LOOP(1000, read(clock, ts)));
  return 0;
}
static i32 r_vdsomono() { return time_clock("__vdso_clock_gettime", 1); }
static i32 r_vdsoreal() { return time_clock("__vdso_clock_gettime64", 0); }
