// Signals and threads: pthread_kill, masks, sigwait, who takes what is sent to the process.
#include "user/pthreads/program.h"

static int g_ready, g_took[3], g_taken;
static __thread int t_number;
static void handle(int) { add(&g_took[t_number], 1); }
static void* count_own(void* number) {
  t_number = (int)(intptr_t)number;
  add(&g_ready, 1);
  while (load(&g_took[t_number]) <= t_number) nap(100);
  return nullptr;
}
static void* wait_for_signals(void*) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigaddset(&set, SIGTERM);
  add(&g_ready, 1);
  int sum = 0, number;
  for (int i = 0; i < 3; i++) {
    MUST(sigwait(&set, &number));
    add(&g_taken, 1);
    sum += number == SIGUSR2 ? 1 : number == SIGTERM ? 10 : 100;
  }
  return (void*)(intptr_t)sum;
}
static void to_each_its_own() {
  pthread_t threads[3];
  g_ready = 0;
  memset(g_took, 0, sizeof g_took);
  for (intptr_t i = 0; i < 3; i++) threads[i] = start(count_own, (void*)i);
  wait_until(&g_ready, 3);
  for (int i = 0; i < 3; i++)
    for (int k = 0; k <= i; k++) {
      MUST(pthread_kill(threads[i], SIGUSR1));
      wait_until(&g_took[i], k + 1);
    }
  for (pthread_t thread : threads) join(thread);
  for (int i = 0; i < 3; i++) say("thread %d took %d\n", i, g_took[i]);
}
static void round_of_use() {
  struct sigaction action = {};
  action.sa_handler = handle;
  sigaction(SIGUSR1, &action, nullptr);
  to_each_its_own();
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigaddset(&set, SIGTERM);
  MUST(pthread_sigmask(SIG_BLOCK, &set, nullptr));
  g_ready = g_taken = 0;
  pthread_t waiter = start(wait_for_signals);
  wait_until(&g_ready, 1);
  MUST(pthread_kill(waiter, SIGUSR2));
  MUST(kill(getpid(), SIGTERM) ? errno : 0);  // for the process: only the waiter takes it
  say("kill with 0: %s\n", name_of(pthread_kill(waiter, 0)));
  wait_until(&g_taken, 2);  // or the second would be one with the first
  MUST(kill(getpid(), SIGTERM) ? errno : 0);
  int sum = (int)(intptr_t)join(waiter);
  say("waited for: %d\n", sum);
  timespec none = {0, 0};
  say("left: %s\n", sigtimedwait(&set, nullptr, &none) == -1 ? name_of(errno) : "a signal");
  MUST(pthread_sigmask(SIG_UNBLOCK, &set, nullptr));
}
