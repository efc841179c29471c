// The sieve of Eratosthenes in segments that threads take from a common counter. `sieve -g` shows what they gain, as sort does.
#include "user/pthreads/gain.h"

constexpr int kLimit = 1 << 20, kSegment = 1 << 15, kRoot = 1 << 10;
static bool g_small[kRoot];
static int g_next, g_primes;
static void* sieve(void*) {
  static __thread bool composite[kSegment];
  for (;;) {
    int begin = (add(&g_next, 1) - 1) * kSegment, found = 0;
    if (begin >= kLimit) return nullptr;
    memset(composite, 0, sizeof composite);
    for (int p = 2; p < kRoot; p++) {
      if (g_small[p]) continue;
      int first = (begin + p - 1) / p * p;
      if (first < p * p) first = p * p;
      for (int i = first; i < begin + kSegment; i += p) composite[i - begin] = true;
    }
    for (int i = 0; i < kSegment; i++) found += !composite[i] && begin + i >= 2;
    add(&g_primes, found);
  }
}
static double sieve_with(int count) {
  pthread_t threads[8];
  g_next = g_primes = 0;
  const double begin = seconds();
  for (int i = 0; i < count; i++) threads[i] = start(sieve);
  for (int i = 0; i < count; i++) join(threads[i]);
  const double took = seconds() - begin;
  say("%d threads: %d primes below %d\n", count, g_primes, kLimit);
  return took;
}
static void round_of_use() {
  for (int p = 2; p < kRoot; p++)
    for (int i = p * p; i < kRoot; i += p) g_small[i] = true;
  sieve_with(1);
  sieve_with(4);
  gain_of(sieve_with);
}
