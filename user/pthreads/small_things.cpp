// Spin locks, once, detaching, joining, small stacks.
#include "user/pthreads/program.h"

static pthread_spinlock_t g_spin;
static int g_count;
static void* spin_and_count(void*) {
  for (int i = 0; i < 300; i++) {
    MUST(pthread_spin_lock(&g_spin));
    g_count++;
    MUST(pthread_spin_unlock(&g_spin));
    if (i % 100 == 0) sched_yield();
  }
  return nullptr;
}
static pthread_once_t g_once;
static int g_initialised, g_too_early;
static void initialise() {
  nap(200);
  add(&g_initialised, 1);
}
static void* initialise_once(void*) {
  MUST(pthread_once(&g_once, initialise));
  if (load(&g_initialised) != 1) add(&g_too_early, 1);
  return nullptr;
}
static int g_left;
static void* leave(void*) {
  add(&g_left, 1);
  return nullptr;
}
static void* exit_with(void* value) { pthread_exit(value); }
static void* join_other(void* other) { return join(*(pthread_t*)other); }

static void spin_locks_and_once() {
  pthread_t threads[4];
  g_count = g_initialised = g_too_early = 0;
  MUST(pthread_spin_init(&g_spin, PTHREAD_PROCESS_PRIVATE));
  for (pthread_t& thread : threads) thread = start(spin_and_count);
  for (pthread_t thread : threads) join(thread);
  MUST(pthread_spin_lock(&g_spin));
  say("spin: %d, try: %s\n", g_count, name_of(pthread_spin_trylock(&g_spin)));
  MUST(pthread_spin_unlock(&g_spin));
  g_once = PTHREAD_ONCE_INIT;
  for (pthread_t& thread : threads) thread = start(initialise_once);
  for (pthread_t thread : threads) join(thread);
  say("once: %d, too early: %d\n", g_initialised, g_too_early);
}
static void round_of_use() {
  spin_locks_and_once();
  g_left = 0;
  pthread_attr_t detached;
  MUST(pthread_attr_init(&detached));
  MUST(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED));
  MUST(pthread_attr_setstacksize(&detached, 65536));
  for (int i = 0; i < 10; i++) {
    pthread_t thread;
    MUST(pthread_create(&thread, i % 2 ? &detached : nullptr, leave, nullptr));
    if (i % 2 == 0) MUST(pthread_detach(thread));
  }
  wait_until(&g_left, 10);
  pthread_t first = start(exit_with, (void*)11), second = start(join_other, &first);
  say("left: %d, joined through another: %d\n", g_left, (int)(intptr_t)join(second));
}
