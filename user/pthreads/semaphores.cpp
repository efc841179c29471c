// Semaphores, unnamed and named, within a process and between two.
#include "user/pthreads/program.h"

static int error_of(int result) { return result == 0 ? 0 : errno; }
static sem_t g_free, g_full;
static int g_sum;
static void* consume(void*) {
  for (int i = 0; i < 50; i++) {
    MUST(error_of(sem_wait(&g_full)));
    add(&g_sum, 1);
    MUST(error_of(sem_post(&g_free)));
  }
  return nullptr;
}
static void ping_pong(sem_t* ping, sem_t* pong, const char* name) {
  pid_t child = fork();
  for (int i = 0; i < 30; i++) {
    MUST(error_of(child == 0 ? sem_wait(ping) : sem_post(ping)));
    MUST(error_of(child == 0 ? sem_post(pong) : sem_wait(pong)));
  }
  if (child == 0) _exit(3);
  int status = status_of(child), value;
  MUST(error_of(sem_getvalue(ping, &value)));
  say("%s: status %d, left %d\n", name, status, value);
}
static void named() {
  char names[2][32];
  sem_t* pair[2];
  for (int i = 0; i < 2; i++) {
    snprintf(names[i], sizeof names[i], "/pthreads-%d-%d", (int)getpid(), i);
    sem_unlink(names[i]);
    say("open: %s", sem_open(names[i], 0) == SEM_FAILED ? name_of(errno) : "ok");
    pair[i] = sem_open(names[i], O_CREAT | O_EXCL, 0600, 0);
    if (pair[i] == SEM_FAILED) MUST(errno);
    say(", twice: %s\n", sem_open(names[i], O_CREAT | O_EXCL, 0600, 0) == SEM_FAILED ? name_of(errno) : "ok");
  }
  ping_pong(pair[0], pair[1], "named");
  for (int i = 0; i < 2; i++) {
    MUST(error_of(sem_close(pair[i])));
    MUST(error_of(sem_unlink(names[i])));
  }
}
static void round_of_use() {
  pthread_t threads[3];
  g_sum = 0;
  MUST(error_of(sem_init(&g_free, 0, 4)));
  MUST(error_of(sem_init(&g_full, 0, 0)));
  for (pthread_t& thread : threads) thread = start(consume);
  for (int i = 0; i < 150; i++) {
    MUST(error_of(sem_wait(&g_free)));
    MUST(error_of(sem_post(&g_full)));
  }
  for (pthread_t thread : threads) join(thread);
  say("consumed %d, try %s", g_sum, name_of(error_of(sem_trywait(&g_full))));
  timespec end = after(CLOCK_REALTIME, 1500);
  int error = error_of(sem_timedwait(&g_full, &end));
  say(", in time %s, %s\n", name_of(error), has_passed(CLOCK_REALTIME, end) ? "not early" : "early");
  auto* shared = (sem_t*)shared_page();
  MUST(error_of(sem_init(&shared[0], 1, 0)));
  MUST(error_of(sem_init(&shared[1], 1, 0)));
  ping_pong(&shared[0], &shared[1], "shared");
  munmap(shared, 4096);
  named();
}
