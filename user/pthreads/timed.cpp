// Waits with a time-out, on both clocks.
#include "user/pthreads/program.h"

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t g_lock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t g_semaphore;
static const char* when(clockid_t clock, timespec end) { return has_passed(clock, end) ? "not early" : "early"; }

static void* time_out(void*) {
  timespec end = after(CLOCK_REALTIME, 1500), past = {1, 0}, wrong = {0, 1000000000};
  int error = pthread_mutex_timedlock(&g_mutex, &end);
  say("mutex: %s, %s", name_of(error), when(CLOCK_REALTIME, end));
  say(", past: %s", name_of(pthread_mutex_timedlock(&g_mutex, &past)));
  say(", wrong: %s\n", name_of(pthread_mutex_timedlock(&g_mutex, &wrong)));
  end = after(CLOCK_REALTIME, 1500);
  error = pthread_rwlock_timedrdlock(&g_lock, &end);
  say("to read: %s, %s\n", name_of(error), when(CLOCK_REALTIME, end));
  end = after(CLOCK_REALTIME, 1500);
  error = sem_timedwait(&g_semaphore, &end) ? errno : 0;
  say("semaphore: %s, %s\n", name_of(error), when(CLOCK_REALTIME, end));
#ifdef __GLIBC__
  end = after(CLOCK_MONOTONIC, 1500);
  error = pthread_mutex_clocklock(&g_mutex, CLOCK_MONOTONIC, &end);
  bool right = error == ETIMEDOUT && has_passed(CLOCK_MONOTONIC, end);
  end = after(CLOCK_MONOTONIC, 1500);
  error = sem_clockwait(&g_semaphore, CLOCK_MONOTONIC, &end) ? errno : 0;
  if (!right || error != ETIMEDOUT || !has_passed(CLOCK_MONOTONIC, end)) say("the monotonic clock: wrong\n");
#endif
  return nullptr;
}
static int g_ready;
static void* take_late(void*) {
  store(&g_ready, 1);
  timespec end = after(CLOCK_REALTIME, 999999);
  int error = pthread_mutex_timedlock(&g_mutex, &end);
  if (error == 0) MUST(pthread_mutex_unlock(&g_mutex));
  return (void*)name_of(error);
}
static void round_of_use() {
  if (sem_init(&g_semaphore, 0, 0)) abort();
  MUST(pthread_mutex_lock(&g_mutex));
  MUST(pthread_rwlock_wrlock(&g_lock));
  join(start(time_out));
  g_ready = 0;
  pthread_t late = start(take_late);
  wait_until(&g_ready, 1);
  nap(500);
  MUST(pthread_mutex_unlock(&g_mutex));
  MUST(pthread_rwlock_unlock(&g_lock));
  say("in time: %s\n", (const char*)join(late));
  timespec end = after(CLOCK_MONOTONIC, 1000);
  int error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, nullptr);
  say("slept: %s, %s\n", name_of(error), when(CLOCK_MONOTONIC, end));
}
