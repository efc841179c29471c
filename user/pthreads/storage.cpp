// Storage of a thread's own: by the compiler, and by keys with destructors.
#include "user/pthreads/program.h"

static __thread int t_number = 7;
static __thread char t_zero[64];
static __thread struct {
  long long wide;
  void* self;
} t_aligned __attribute__((aligned(32)));

static pthread_key_t g_key, g_again, g_plain;
static int g_destroyed, g_rounds, g_wrong;
static void destroy(void* value) { add(&g_destroyed, (int)(intptr_t)value); }
// Sets its key again: called for PTHREAD_DESTRUCTOR_ITERATIONS at most.
static void come_back(void* value) {
  add(&g_rounds, 1);
  MUST(pthread_setspecific(g_again, value));
}
static void* use(void* number) {
  int own = (int)(intptr_t)number;
  if (t_number != 7 || t_zero[own] != 0 || t_aligned.self != nullptr || ((uintptr_t)&t_aligned & 31)) add(&g_wrong, 1);
  if (pthread_getspecific(g_key) != nullptr) add(&g_wrong, 1);
  t_aligned.self = &t_aligned;
  t_zero[own] = 1;
  for (int i = 0; i < 50; i++) {
    t_number = own * 100 + i;
    MUST(pthread_setspecific(g_key, (void*)(intptr_t)own));
    if (i % 10 == 0) sched_yield();
    if (t_number != own * 100 + i || pthread_getspecific(g_key) != number) add(&g_wrong, 1);
  }
  MUST(pthread_setspecific(g_plain, number));
  if (own == 1) MUST(pthread_setspecific(g_again, number));
  return nullptr;
}
static void round_of_use() {
  pthread_t threads[5];
  g_destroyed = g_rounds = g_wrong = 0;
  MUST(pthread_key_create(&g_key, destroy));
  MUST(pthread_key_create(&g_again, come_back));
  MUST(pthread_key_create(&g_plain, nullptr));
  for (intptr_t i = 0; i < 5; i++) threads[i] = start(use, (void*)(i + 1));
  for (pthread_t thread : threads) join(thread);
  say("wrong %d, destroyed %d, rounds %d, the first thread's: %d\n", g_wrong, g_destroyed, g_rounds, t_number);
  MUST(pthread_key_delete(g_key));
  MUST(pthread_key_delete(g_again));
  MUST(pthread_key_delete(g_plain));
}
