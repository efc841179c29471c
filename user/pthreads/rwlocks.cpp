// Read-write locks: many read, one writes.
#include "user/pthreads/program.h"

static pthread_rwlock_t g_lock;
static int g_one, g_other, g_torn, g_writers, g_together;
static void* read_often(void*) {
  for (int i = 0; i < 100; i++) {
    MUST(pthread_rwlock_rdlock(&g_lock));
    if (g_one != g_other) add(&g_torn, 1);
    MUST(pthread_rwlock_unlock(&g_lock));
  }
  return nullptr;
}
static void* write_often(void*) {
  for (int i = 0; i < 100; i++) {
    MUST(pthread_rwlock_wrlock(&g_lock));
    if (add(&g_writers, 1) != 1) add(&g_together, 1);
    g_one++;
    if (i % 25 == 0) sched_yield();
    g_other++;
    add(&g_writers, -1);
    MUST(pthread_rwlock_unlock(&g_lock));
  }
  return nullptr;
}
static void* try_both(void*) {
  int reading = pthread_rwlock_tryrdlock(&g_lock);
  if (reading == 0) MUST(pthread_rwlock_unlock(&g_lock));
  int writing = pthread_rwlock_trywrlock(&g_lock);
  if (writing == 0) MUST(pthread_rwlock_unlock(&g_lock));
  say("  to read: %s, to write: %s", name_of(reading), name_of(writing));
  timespec end = after(CLOCK_REALTIME, 1500);
  int error = pthread_rwlock_timedwrlock(&g_lock, &end);
  if (error == 0) MUST(pthread_rwlock_unlock(&g_lock));
  say(", in time: %s\n", name_of(error));
  return nullptr;
}
static void round_of_use() {
  pthread_t threads[6];
  g_one = g_other = g_torn = g_writers = g_together = 0;
  MUST(pthread_rwlock_init(&g_lock, nullptr));
  for (int i = 0; i < 6; i++) threads[i] = start(i % 3 ? read_often : write_often);
  for (pthread_t thread : threads) join(thread);
  say("written %d, torn %d, together %d\n", g_one, g_torn, g_together);
  say("free:\n");
  join(start(try_both));
  MUST(pthread_rwlock_rdlock(&g_lock));
  MUST(pthread_rwlock_rdlock(&g_lock));
  say("read twice:\n");
  join(start(try_both));
  MUST(pthread_rwlock_unlock(&g_lock));
  MUST(pthread_rwlock_unlock(&g_lock));
  MUST(pthread_rwlock_wrlock(&g_lock));
  say("written:\n");
  join(start(try_both));
  MUST(pthread_rwlock_unlock(&g_lock));
  MUST(pthread_rwlock_destroy(&g_lock));
}
