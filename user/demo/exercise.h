// What the lecture exercises share: the kernel's own counters, and a table of what was predicted and what was measured. An exercise ends
// with 1 if they differ.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <string>

constexpr uintptr_t kPage = 4096;

inline int g_wrong;
inline void question(const char* text) { printf("%s\n\n%-64s %9s %9s\n", text, "", "predicted", "measured"); }
inline void expect(const char* what, long predicted, long measured) {
  bool right = predicted == measured;
  printf("%-64s %9ld %9ld%s\n", what, predicted, measured, right ? "" : "   WRONG");
  if (!right) g_wrong++;
}
inline int answer(const char* text) {
  printf("\n%s\n", g_wrong == 0 ? text : "The kernel does not do what the lecture says.");
  return g_wrong == 0 ? 0 : 1;
}

[[noreturn]] inline void give_up(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(2);
}

inline long minor_faults() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

// The physical frames that a process sees in [start, end), by /proc/PID/pagemap (root is told).
inline std::set<uint64_t> frames_of(pid_t pid, uintptr_t start, uintptr_t end) {
  std::string name = "/proc/" + std::to_string(pid) + "/pagemap";
  int fd = open(name.c_str(), O_RDONLY);
  if (fd < 0) give_up(name.c_str());
  std::set<uint64_t> frames;
  for (uintptr_t page = start / kPage; page < (end + kPage - 1) / kPage; page++) {
    uint64_t entry = 0;
    if (pread64(fd, &entry, sizeof entry, static_cast<off64_t>(page * sizeof entry)) != sizeof entry) break;
    if (entry >> 63) frames.insert(entry & ((1ull << 55) - 1));
  }
  close(fd);
  return frames;
}
inline uint64_t frame_of(const void* place) {
  auto frames = frames_of(getpid(), reinterpret_cast<uintptr_t>(place), reinterpret_cast<uintptr_t>(place) + 1);
  return frames.empty() ? 0 : *frames.begin();
}
