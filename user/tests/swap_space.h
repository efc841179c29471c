// For tests that want more memory than there is: how much that is, and what went to swap and came back.
#pragma once
#include <sys/sysinfo.h>
#include "user/tests/harness.h"

inline size_t ram() {
  struct sysinfo info;
  CHECK_OK(sysinfo(&info));
  return size_t(info.totalram) * info.mem_unit;
}
inline size_t free_swap() {
  struct sysinfo info;
  CHECK_OK(sysinfo(&info));
  return size_t(info.freeswap) * info.mem_unit;
}
// So many per cent of RAM, in whole pages, or a skipped test.
inline size_t bytes_of_ram(int percent) {
  size_t bytes = ram() / 100 * size_t(percent) & ~size_t(kPage - 1);
  if (free_swap() + ram() / 2 < bytes) SKIP("there is not enough swap");
  return bytes;
}

inline long counter(const char* file, const char* name) {
  char line[120], format[60];
  long value = -1;
  FILE* f = fopen(file, "r");
  CHECK(f);
  snprintf(format, sizeof format, "%s%%*[ :\t]%%ld", name);
  while (value < 0 && fgets(line, sizeof line, f)) sscanf(line, format, &value);
  fclose(f);
  CHECK(value >= 0);
  return value;
}
inline long pages_out() { return counter("/proc/vmstat", "pswpout"); }
inline long pages_in() { return counter("/proc/vmstat", "pswpin"); }
