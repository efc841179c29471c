// Condition variables: signal, broadcast, time-outs, between processes.
#include "user/pthreads/program.h"

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_changed = PTHREAD_COND_INITIALIZER, g_empty = PTHREAD_COND_INITIALIZER;
static int g_turn, g_slots, g_taken;

static void* take_turns(void* own) {
  for (int i = 0; i < 25; i++) {
    MUST(pthread_mutex_lock(&g_mutex));
    while (g_turn % 4 != (int)(intptr_t)own) MUST(pthread_cond_wait(&g_changed, &g_mutex));
    g_turn++;
    MUST(pthread_cond_broadcast(&g_changed));
    MUST(pthread_mutex_unlock(&g_mutex));
  }
  return nullptr;
}
static void* consume(void*) {
  for (int i = 0; i < 50; i++) {
    MUST(pthread_mutex_lock(&g_mutex));
    while (g_slots == 0) MUST(pthread_cond_wait(&g_changed, &g_mutex));
    g_slots--;
    g_taken++;
    MUST(pthread_cond_signal(&g_empty));
    MUST(pthread_mutex_unlock(&g_mutex));
  }
  return nullptr;
}
static void produce(int count) {
  for (int i = 0; i < count; i++) {
    MUST(pthread_mutex_lock(&g_mutex));
    while (g_slots == 3) MUST(pthread_cond_wait(&g_empty, &g_mutex));
    g_slots++;
    MUST(pthread_cond_signal(&g_changed));
    MUST(pthread_mutex_unlock(&g_mutex));
  }
}
static void between_processes() {
  struct Page {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int value;
  };
  auto* page = (Page*)shared_page();
  pthread_mutexattr_t mutex_kind;
  pthread_condattr_t kind;
  MUST(pthread_mutexattr_init(&mutex_kind));
  MUST(pthread_mutexattr_setpshared(&mutex_kind, PTHREAD_PROCESS_SHARED));
  MUST(pthread_condattr_init(&kind));
  MUST(pthread_condattr_setpshared(&kind, PTHREAD_PROCESS_SHARED));
  MUST(pthread_mutex_init(&page->mutex, &mutex_kind));
  MUST(pthread_cond_init(&page->changed, &kind));
  pid_t child = fork();
  int own = child == 0;
  MUST(pthread_mutex_lock(&page->mutex));
  for (int i = 0; i < 20; i++) {
    while (page->value % 2 != own) MUST(pthread_cond_wait(&page->changed, &page->mutex));
    page->value++;
    MUST(pthread_cond_signal(&page->changed));
  }
  MUST(pthread_mutex_unlock(&page->mutex));
  if (child == 0) _exit(0);
  int status = status_of(child);
  say("between processes: %d, status %d\n", page->value, status);
  munmap(page, 4096);
}
static void time_out(const char* name, clockid_t clock) {
  pthread_condattr_t kind;
  pthread_cond_t never;
  MUST(pthread_condattr_init(&kind));
  MUST(pthread_condattr_setclock(&kind, clock));
  MUST(pthread_cond_init(&never, &kind));
  MUST(pthread_mutex_lock(&g_mutex));
  timespec end = after(clock, 1500);
  int error;
  while ((error = pthread_cond_timedwait(&never, &g_mutex, &end)) == 0) {
  }
  MUST(pthread_mutex_unlock(&g_mutex));
  say("%s: %s, %s\n", name, name_of(error), has_passed(clock, end) ? "not early" : "early");
  MUST(pthread_cond_destroy(&never));
}
static void round_of_use() {
  pthread_t threads[4];
  g_turn = g_slots = g_taken = 0;
  for (intptr_t i = 0; i < 4; i++) threads[i] = start(take_turns, (void*)i);
  for (pthread_t thread : threads) join(thread);
  say("turns: %d\n", g_turn);
  for (pthread_t& thread : threads) thread = start(consume);
  produce(200);
  for (pthread_t thread : threads) join(thread);
  say("taken: %d, left: %d\n", g_taken, g_slots);
  time_out("wall clock", CLOCK_REALTIME);
  time_out("monotonic clock", CLOCK_MONOTONIC);
  between_processes();
}
