// fork, exec and exit in a process with threads.
#include "user/pthreads/program.h"

static int g_stop;
static void* work(void*) {
  while (!load(&g_stop)) {
    free(malloc(100));
    sched_yield();
  }
  return nullptr;
}
static void* sleep_for_ever(void*) {
  for (;;) pause();
}
static void* exit_group(void*) { _exit(5); }
static void* exec_true(void*) {
  execl("/bin/true", "true", (char*)nullptr);
  _exit(9);
}
static int g_before, g_parent, g_child;
static void before() { g_before++; }
static void in_parent() { g_parent++; }
static void in_child() { g_child++; }

static void* fork_here(void*) {
  int statuses = 0;
  for (int i = 0; i < 5; i++) {
    pid_t child = fork();
    if (child == 0) {
      // Only this thread is here; the C library's locks must be free, and new threads can be made.
      free(malloc(1000));
      g_stop = 1;
      join(start(work));
      _exit(g_child == g_before ? 1 : 50);
    }
    statuses += status_of(child);
  }
  return (void*)(intptr_t)statuses;
}
static int child_with(void* (*first)(void*), void* (*second)(void*)) {
  pid_t child = fork();
  if (child != 0) return status_of(child);
  g_stop = 0;
  start(work);
  start(sleep_for_ever);
  start(first);
  if (second) second(nullptr);
  for (;;) pause();
}
static void* leave_alone(void*) { pthread_exit(nullptr); }
// Linux keeps a first thread as a zombie until the others have ended, too.
static bool first_has_gone() {
  char name[64], state = 'Z';
  snprintf(name, sizeof name, "/proc/self/task/%d/stat", (int)getpid());
  FILE* file = fopen(name, "r");
  if (!file) return true;
  bool is_told = fscanf(file, "%*d %*s %c", &state) == 1;
  fclose(file);
  return !is_told || state == 'Z';
}
// exit() takes the unwinder's tables away, with which pthread_exit() of the first would end in abort().
static void* exit_later(void*) {
  for (int i = 0; i < 1000 && !first_has_gone(); i++) nap(10000);
  exit(first_has_gone() ? 6 : 7);
}
static void round_of_use() {
  static bool registered;
  if (!registered) MUST(pthread_atfork(before, in_parent, in_child));
  registered = true;
  g_stop = g_before = g_parent = g_child = 0;
  pthread_t workers[2] = {start(work), start(work)};
  pthread_t forker = start(fork_here);
  int statuses = (int)(intptr_t)join(forker);
  store(&g_stop, 1);
  for (pthread_t worker : workers) join(worker);
  say("forks: %d, before %d, parent %d, child %d\n", statuses, g_before, g_parent, g_child);
  say("exit_group by a thread: %d\n", child_with(exit_group, nullptr));
  say("exec by a thread: %d\n", child_with(exec_true, nullptr));
  say("exec by the first: %d\n", child_with(sleep_for_ever, exec_true));
  say("exit after the first has gone: %d\n", child_with(exit_later, leave_alone));
}
