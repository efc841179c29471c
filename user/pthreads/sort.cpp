// A parallel merge sort: the same result with any number of threads. `sort -g` shows what they gain: the time of one by that of four.
#include "user/pthreads/gain.h"

constexpr int kNumbers = 60000;  // no power of two: the arrays would lie on the same sets of a direct-mapped TLB, as an emulator has
static uint32_t g_numbers[kNumbers], g_space[kNumbers];
struct Part {
  int begin, end, threads;
};
static void merge(int begin, int middle, int end) {
  int left = begin, right = middle;
  for (int at = begin; at < end; at++)
    g_space[at] = right == end || (left < middle && g_numbers[left] <= g_numbers[right]) ? g_numbers[left++] : g_numbers[right++];
  memcpy(&g_numbers[begin], &g_space[begin], (size_t)(end - begin) * sizeof g_numbers[0]);
}
static void* sort(void* argument) {
  Part part = *(Part*)argument;
  if (part.end - part.begin < 2) return nullptr;
  int middle = (part.begin + part.end) / 2;
  Part left = {part.begin, middle, part.threads / 2}, right = {middle, part.end, part.threads - part.threads / 2};
  if (part.threads > 1) {
    pthread_t other = start(sort, &left);
    sort(&right);
    join(other);
  } else {
    sort(&left);
    sort(&right);
  }
  merge(part.begin, middle, part.end);
  return nullptr;
}
static double sort_with(int threads) {
  uint32_t state = 12345;
  for (uint32_t& number : g_numbers) number = state = state * 1664525 + 1013904223;
  const double begin = seconds();
  Part all = {0, kNumbers, threads};
  sort(&all);
  const double took = seconds() - begin;
  int wrong = 0;
  uint32_t sum = 0;
  for (int i = 0; i < kNumbers; i++) {
    if (i > 0 && g_numbers[i - 1] > g_numbers[i]) wrong++;
    sum = sum * 31 + g_numbers[i];
  }
  say("%d threads: wrong %d, sum %08x\n", threads, wrong, sum);
  return took;
}
static void round_of_use() {
  sort_with(1);
  sort_with(4);
  gain_of(sort_with);
}
