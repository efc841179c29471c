// One over-committed workload for two kernels (tools/compare-swap): memory is filled in order, read back, then most touches go to a fifth of
// it while the rest is visited now and then, and at the end every word is checked.
//
// usage: overcommit_libc MIB DISK     (DISK as /proc/diskstats calls it, such as vda: the one that is swapped to)
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sys/mman.h>

constexpr size_t kPage = 4096, kWords = kPage / 4;

struct Counts {
  double milliseconds = 0;
  long long reads = 0, writes = 0, sectors_read = 0, sectors_written = 0;
};

static Counts now(const char* disk) {
  Counts counts;
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  counts.milliseconds = double(time.tv_sec) * 1e3 + double(time.tv_nsec) / 1e6;
  FILE* file = fopen("/proc/diskstats", "r");
  char line[300], name[64];
  while (file && fgets(line, sizeof line, file)) {
    long long r, rs, w, ws;
    if (sscanf(line, "%*d %*d %63s %lld %*d %lld %*d %lld %*d %lld", name, &r, &rs, &w, &ws) == 5 && !strcmp(name, disk))
      counts.reads = r, counts.sectors_read = rs, counts.writes = w, counts.sectors_written = ws;
  }
  if (file) fclose(file);
  return counts;
}

static void report(const char* phase, const Counts& from, const Counts& to) {
  printf("%-10s %10.0f %8lld %8lld %9lld %9lld\n", phase, to.milliseconds - from.milliseconds, to.reads - from.reads,
         to.writes - from.writes, (to.sectors_read - from.sectors_read) / 8, (to.sectors_written - from.sectors_written) / 8);
  fflush(stdout);
}

static uint32_t word_for(size_t page, size_t word) { return uint32_t(page * kWords + word) * 2654435761u; }

static void fail(size_t page) {
  printf("page %zu is wrong\n", page);
  exit(1);
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const char* disk = argv[2];
  const size_t pages = size_t(atoi(argv[1])) * (1 << 20) / kPage, hot = pages / 5;
  uint32_t* memory = (uint32_t*)mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  Counts begin = now(disk), last = begin;
  auto end_phase = [&](const char* name) {
    Counts next = now(disk);
    report(name, last, next);
    last = next;
  };
  for (size_t page = 0; page < pages; page++)
    for (size_t i = 0; i < kWords; i++) memory[page * kWords + i] = word_for(page, i);
  end_phase("fill");
  for (size_t page = 0; page < pages; page++)
    if (memory[page * kWords + 7] != word_for(page, 7)) fail(page);
  end_phase("read");
  uint32_t state = 1;
  for (int touch = 0; touch < 200000; touch++) {
    state = state * 1664525u + 1013904223u;
    const uint32_t draw = state >> 8;
    const size_t page = draw % 100 < 97 ? (draw / 100) % hot : (draw / 100) % pages;
    if (memory[page * kWords + 9] != word_for(page, 9)) fail(page);
    if (draw & 1) memory[page * kWords + 11] = word_for(page, 11);
  }
  end_phase("hot-cold");
  for (size_t page = 0; page < pages; page++)
    for (size_t i = 0; i < kWords; i++)
      if (memory[page * kWords + i] != word_for(page, i)) fail(page);
  end_phase("check");
  report("all", begin, last);
}
