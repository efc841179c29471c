// Mutexes of every kind.
#include "user/pthreads/program.h"

static pthread_mutex_t make(int type, int robust = 0, int protocol = PTHREAD_PRIO_NONE, int shared = PTHREAD_PROCESS_PRIVATE) {
  pthread_mutexattr_t kind;
  pthread_mutex_t mutex;
  MUST(pthread_mutexattr_init(&kind));
  MUST(pthread_mutexattr_settype(&kind, type));
  if (robust) MUST(pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST));
  if (protocol != PTHREAD_PRIO_NONE) MUST(pthread_mutexattr_setprotocol(&kind, protocol));
  MUST(pthread_mutexattr_setpshared(&kind, shared));
  MUST(pthread_mutex_init(&mutex, &kind));
  MUST(pthread_mutexattr_destroy(&kind));
  return mutex;
}

static int g_count;
static void* count(void* mutex) {
  for (int i = 0; i < 200; i++) {
    MUST(pthread_mutex_lock((pthread_mutex_t*)mutex));
    int seen = g_count;
    if (i % 50 == 0) sched_yield();
    g_count = seen + 1;
    MUST(pthread_mutex_unlock((pthread_mutex_t*)mutex));
  }
  return nullptr;
}
static void exclude(const char* name, pthread_mutex_t mutex) {
  pthread_t threads[4];
  g_count = 0;
  for (pthread_t& thread : threads) thread = start(count, &mutex);
  for (pthread_t thread : threads) join(thread);
  say("%s: %d\n", name, g_count);
  MUST(pthread_mutex_destroy(&mutex));
}
static void* try_and_unlock(void* mutex) {
  say("  another thread tries: %s", name_of(pthread_mutex_trylock((pthread_mutex_t*)mutex)));
  say(", unlocks: %s\n", name_of(pthread_mutex_unlock((pthread_mutex_t*)mutex)));
  return nullptr;
}
// What the kinds that know their owner say.
static void misuse(const char* name, pthread_mutex_t mutex) {
  say("%s: lock %s", name, name_of(pthread_mutex_lock(&mutex)));
  say(", again %s", name_of(pthread_mutex_lock(&mutex)));
  int tried = pthread_mutex_trylock(&mutex);
  say(", try %s\n", tried == EDEADLK ? "EBUSY" : name_of(tried));  // for an inheriting mutex, glibc says the one, musl the other
  join(start(try_and_unlock, &mutex));
  for (int i = 0; i < 4; i++) say("  unlock %s\n", name_of(pthread_mutex_unlock(&mutex)));
}
// One process counts with another.
static void between_processes(const char* name, int robust, int protocol) {
  struct Page {
    pthread_mutex_t mutex;
    int count;
  };
  auto* page = (Page*)shared_page();
  page->mutex = make(PTHREAD_MUTEX_NORMAL, robust, protocol, PTHREAD_PROCESS_SHARED);
  auto work = [page] {
    for (int i = 0; i < 200; i++) {
      MUST(pthread_mutex_lock(&page->mutex));
      page->count++;
      MUST(pthread_mutex_unlock(&page->mutex));
    }
  };
  pid_t child = fork();
  work();
  if (child == 0) _exit(0);
  int status = status_of(child);
  say("%s: %d, status %d\n", name, page->count, status);
  munmap(page, 4096);
}

static void round_of_use() {
  exclude("normal", make(PTHREAD_MUTEX_NORMAL));
  exclude("recursive", make(PTHREAD_MUTEX_RECURSIVE));
  exclude("errorcheck", make(PTHREAD_MUTEX_ERRORCHECK));
  exclude("robust", make(PTHREAD_MUTEX_NORMAL, 1));
  exclude("inheriting", make(PTHREAD_MUTEX_NORMAL, 0, PTHREAD_PRIO_INHERIT));
  exclude("inheriting, recursive", make(PTHREAD_MUTEX_RECURSIVE, 0, PTHREAD_PRIO_INHERIT));
  misuse("errorcheck", make(PTHREAD_MUTEX_ERRORCHECK));
  misuse("recursive", make(PTHREAD_MUTEX_RECURSIVE));
  misuse("inheriting, errorcheck", make(PTHREAD_MUTEX_ERRORCHECK, 0, PTHREAD_PRIO_INHERIT));
  between_processes("shared", 0, PTHREAD_PRIO_NONE);
  between_processes("shared, inheriting", 0, PTHREAD_PRIO_INHERIT);
}
