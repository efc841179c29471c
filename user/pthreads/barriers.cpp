// Barriers: nobody passes before all have come, and one of them is told so.
#include "user/pthreads/program.h"

static pthread_barrier_t g_barrier;
static int g_come, g_early, g_serial;
static void* pass(void*) {
  for (int i = 1; i <= 20; i++) {
    add(&g_come, 1);
    int result = pthread_barrier_wait(&g_barrier);
    if (load(&g_come) < 5 * i) add(&g_early, 1);
    if (result == PTHREAD_BARRIER_SERIAL_THREAD) add(&g_serial, 1);
    pthread_barrier_wait(&g_barrier);
  }
  return nullptr;
}
static void between_processes() {
  struct Page {
    pthread_barrier_t barrier;
    int come, early;
  };
  auto* page = (Page*)shared_page();
  pthread_barrierattr_t kind;
  MUST(pthread_barrierattr_init(&kind));
  MUST(pthread_barrierattr_setpshared(&kind, PTHREAD_PROCESS_SHARED));
  MUST(pthread_barrier_init(&page->barrier, &kind, 3));
  pid_t children[2];
  bool is_child = false;
  for (pid_t& child : children)
    if (!is_child && (child = fork()) == 0) is_child = true;
  for (int i = 1; i <= 10; i++) {
    add(&page->come, 1);
    pthread_barrier_wait(&page->barrier);
    if (load(&page->come) < 3 * i) add(&page->early, 1);
    pthread_barrier_wait(&page->barrier);
  }
  if (is_child) _exit(0);
  for (pid_t child : children) status_of(child);
  say("between processes: come %d, early %d\n", page->come, page->early);
  munmap(page, 4096);
}
static void round_of_use() {
  pthread_t threads[5];
  g_come = g_early = g_serial = 0;
  MUST(pthread_barrier_init(&g_barrier, nullptr, 5));
  for (pthread_t& thread : threads) thread = start(pass);
  for (pthread_t thread : threads) join(thread);
  MUST(pthread_barrier_destroy(&g_barrier));
  say("come %d, early %d, serial %d\n", g_come, g_early, g_serial);
  say("none: %s\n", name_of(pthread_barrier_init(&g_barrier, nullptr, 0)));
  between_processes();
}
