// Robust mutexes: the owner ends with the lock.
#include "user/pthreads/program.h"

static pthread_mutex_t make(int protocol, int shared) {
  pthread_mutexattr_t kind;
  pthread_mutex_t mutex;
  MUST(pthread_mutexattr_init(&kind));
  MUST(pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST));
  MUST(pthread_mutexattr_setprotocol(&kind, protocol));
  MUST(pthread_mutexattr_setpshared(&kind, shared));
  MUST(pthread_mutex_init(&mutex, &kind));
  return mutex;
}
static void* die_with(void* mutex) {
  MUST(pthread_mutex_lock((pthread_mutex_t*)mutex));
  return nullptr;
}
static void threads(const char* name, int protocol) {
  pthread_mutex_t mutex = make(protocol, PTHREAD_PROCESS_PRIVATE);
  join(start(die_with, &mutex));
  say("%s: lock %s", name, name_of(pthread_mutex_lock(&mutex)));
  say(", consistent %s", name_of(pthread_mutex_consistent(&mutex)));
  say(", unlock %s\n", name_of(pthread_mutex_unlock(&mutex)));
  join(start(die_with, &mutex));
  say("  try %s", name_of(pthread_mutex_trylock(&mutex)));
  say(", unlock %s", name_of(pthread_mutex_unlock(&mutex)));
  say(", lock %s\n", name_of(pthread_mutex_lock(&mutex)));
}
// The owner is killed while others wait: one of them is told.
static void processes(const char* name, int protocol) {
  auto* mutex = (pthread_mutex_t*)shared_page();
  *mutex = make(protocol, PTHREAD_PROCESS_SHARED);
  int ready[2];
  if (pipe(ready)) abort();
  pid_t owner = fork();
  if (owner == 0) {
    MUST(pthread_mutex_lock(mutex));
    if (write(ready[1], "x", 1) != 1) _exit(9);
    for (;;) pause();
  }
  char c;
  if (read(ready[0], &c, 1) != 1) abort();
  pid_t waiters[3];
  for (pid_t& waiter : waiters) {
    waiter = fork();
    if (waiter != 0) continue;
    int error = pthread_mutex_lock(mutex);
    if (error == EOWNERDEAD) MUST(pthread_mutex_consistent(mutex));
    MUST(pthread_mutex_unlock(mutex));
    _exit(error == EOWNERDEAD ? 1 : error == 0 ? 0 : 7);
  }
  nap(2000);
  kill(owner, SIGKILL);
  int told = 0;
  for (pid_t waiter : waiters) told += status_of(waiter);
  int status = status_of(owner);
  say("%s: owner %d, told %d\n", name, status, told);
  close(ready[0]);
  close(ready[1]);
  munmap(mutex, 4096);
}
static void round_of_use() {
  threads("robust", PTHREAD_PRIO_NONE);
  threads("robust, inheriting", PTHREAD_PRIO_INHERIT);
  processes("robust, shared", PTHREAD_PRIO_NONE);
  processes("robust, shared, inheriting", PTHREAD_PRIO_INHERIT);
}
