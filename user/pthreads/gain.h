// What threads gain, for `sort -g` and `sieve -g`: the shortest time of one thread by the shortest of four. Each is taken of several turns, the first
// of which finds the pages and lets an emulator translate the code, and does not count.
#pragma once

#include "user/pthreads/program.h"

static inline double seconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static inline double shortest(double (*seconds_with)(int), int threads) {
  double best = 1e9;
  for (int turn = 0; turn <= 15; turn++) {
    double took = seconds_with(threads);
    if (turn > 0 && took < best) best = took;
  }
  return best;
}
static inline void gain_of(double (*seconds_with)(int)) {
  if (!g_arguments[1] || strcmp(g_arguments[1], "-g")) return;
  double one = shortest(seconds_with, 1), four = shortest(seconds_with, 4);
  printf("gain: %.2f (%.1f ms with one thread, %.1f ms with four)\n", one / four, one * 1e3, four * 1e3);
}
