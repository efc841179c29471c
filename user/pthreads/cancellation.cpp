// Cancellation: deferred and at once, clean-up handlers, a thread that does not let itself be cancelled.
#include "user/pthreads/program.h"

static int g_ready, g_cleaned, g_order[4];
static void clean(void* what) { g_order[add(&g_cleaned, 1) - 1] = (int)(intptr_t)what; }
static const char* end_of(pthread_t thread) { return join(thread) == PTHREAD_CANCELED ? "cancelled" : "returned"; }

static void* wait_in_pause(void*) {
  pthread_cleanup_push(clean, (void*)1);
  pthread_cleanup_push(clean, (void*)2);
  store(&g_ready, 1);
  for (;;) pause();
  pthread_cleanup_pop(0);
  pthread_cleanup_pop(0);
  return nullptr;
}
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_never = PTHREAD_COND_INITIALIZER;
static void unlock(void*) {
  clean((void*)3);
  MUST(pthread_mutex_unlock(&g_mutex));  // a cancelled wait has it again
}
static void* wait_for_condition(void*) {
  MUST(pthread_mutex_lock(&g_mutex));
  pthread_cleanup_push(unlock, nullptr);
  store(&g_ready, 1);
  for (;;) pthread_cond_wait(&g_never, &g_mutex);
  pthread_cleanup_pop(0);
  return nullptr;
}
static void* wait_for_semaphore(void* semaphore) {
  pthread_cleanup_push(clean, (void*)4);
  store(&g_ready, 1);
  while (sem_wait((sem_t*)semaphore)) {
  }
  pthread_cleanup_pop(0);
  return nullptr;
}
static void* read_from_pipe(void* end) {
  char c;
  pthread_cleanup_push(clean, (void*)5);
  store(&g_ready, 1);
  while (read(*(int*)end, &c, 1) < 0) {
  }
  pthread_cleanup_pop(0);
  return nullptr;
}
static void* spin_asynchronously(void*) {
  int old;
  MUST(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old));
  pthread_cleanup_push(clean, (void*)6);
  store(&g_ready, 1);
  for (;;) asm volatile("");
  pthread_cleanup_pop(0);
  return nullptr;
}
static void* refuse(void* told) {
  int old;
  MUST(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
  store(&g_ready, 1);
  wait_until((int*)told, 1);
  nap(100);  // would be a cancellation point
  clean((void*)7);
  return nullptr;
}
static void* ask(void*) {
  store(&g_ready, 1);
  for (;;) pthread_testcancel();
}
static void cancel(const char* name, void* (*body)(void*), void* argument = nullptr, int* told = nullptr) {
  g_ready = g_cleaned = 0;
  memset(g_order, 0, sizeof g_order);
  pthread_t thread = start(body, argument);
  wait_until(&g_ready, 1);
  MUST(pthread_cancel(thread));
  if (told) store(told, 1);
  const char* end = end_of(thread);
  say("%s: %s, cleaned", name, end);
  for (int i = 0; i < g_cleaned; i++) say(" %d", g_order[i]);
  say("\n");
}
static void round_of_use() {
  sem_t semaphore;
  int ends[2], told = 0;
  if (sem_init(&semaphore, 0, 0) || pipe(ends)) abort();
  cancel("pause", wait_in_pause);
  cancel("condition", wait_for_condition);
  say("mutex: %s\n", name_of(pthread_mutex_trylock(&g_mutex)));
  MUST(pthread_mutex_unlock(&g_mutex));
  cancel("semaphore", wait_for_semaphore, &semaphore);
  cancel("read", read_from_pipe, &ends[0]);
  cancel("at once", spin_asynchronously);
  cancel("refused", refuse, &told, &told);
  cancel("asked for", ask);
  close(ends[0]);
  close(ends[1]);
}
