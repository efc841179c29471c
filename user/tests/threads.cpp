// Threads of one process: what they share, how they wait for each other (futexes), and what exit, exec, fork, stops and signals mean then.
#include "user/tests/harness.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/time.h>
#include <atomic>

template <typename F>
struct Joined {
  F body;
  pthread_t id;
  explicit Joined(F f) : body(f) {
    CHECK_EQ(pthread_create(
                 &id, nullptr,
                 [](void* self) -> void* {
                   ((Joined*)self)->body();
                   return nullptr;
                 },
                 this),
             0);
  }
  ~Joined() { join(); }
  void join() {
    if (!joined) CHECK_EQ(pthread_join(id, nullptr), 0);
    joined = true;
  }
  bool joined = false;
};
// A thread that nobody waits for.
template <typename F>
static pthread_t start(F body) {
  pthread_t id;
  CHECK_EQ(pthread_create(
               &id, nullptr,
               [](void* copy) -> void* {
                 (*(F*)copy)();
                 return nullptr;
               },
               new F(body)),
           0);
  return id;
}
static pid_t thread_id() { return syscall(SYS_gettid); }
static long futex(void* word, int operation, int value, long timeout = 0, void* second = nullptr, int value3 = 0) {
  return syscall(SYS_futex, word, operation, value, timeout, second, value3);
}

static thread_local int t_own = 5;
TEST(threads_share_memory_and_have_storage_of_their_own) {
  int shared = 0, pipe_ends[2];
  Joined first([&] {
    CHECK_EQ(t_own, 5);
    t_own = 6;
    shared = 1;
    CHECK_OK(pipe(pipe_ends));
    CHECK(thread_id() != getpid());
  });
  first.join();
  CHECK_EQ(shared, 1);
  CHECK_EQ(t_own, 5);
  CHECK_EQ(write(pipe_ends[1], "x", 1), 1);  // its descriptors are ours
  Joined second([&] { CHECK_EQ(t_own, 5); });
  CHECK_EQ(thread_id(), getpid());
}
// A file is in use until the call that uses it ends, whatever other threads close meanwhile.
TEST(a_descriptor_is_closed_while_another_thread_reads_from_it) {
  for (int i = 0; i < scale(30); i++) {
    int ends[2], others[2];
    CHECK_OK(pipe(ends));
    std::atomic<int> state{0};
    Joined reader([&] {
      char c;
      state = 1;
      long got = read(ends[0], &c, 1);
      CHECK(got == 1 || got == 0 || (got == -1 && errno == EBADF));
      state = 2;
    });
    while (state == 0) sched_yield();
    if (i % 3) pause_a_little();
    CHECK_OK(close(ends[0]));
    for (int k = 0; k < 8; k++) {
      CHECK_OK(pipe(others));
      CHECK_EQ(write(others[1], "other", 5), 5);
      CHECK_OK(close(others[0]));
      CHECK_OK(close(others[1]));
    }
    // The pipe still has a reader, unless that came too late.
    signal(SIGPIPE, SIG_IGN);
    if (i % 3) CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_OK(close(ends[1]));
    reader.join();
  }
}
TEST(many_threads_one_after_the_other) {
  for (int i = 0; i < scale(300); i++) {
    void* result;
    pthread_t id;
    CHECK_EQ(pthread_create(
                 &id, nullptr, [](void* p) { return p; }, (void*)(long)i),
             0);
    CHECK_EQ(pthread_join(id, &result), 0);
    CHECK_EQ((long)result, i);
  }
}
TEST(a_mutex_lets_one_in) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static int count;  // not atomic: the mutex guards it
  {
    auto body = [] {
      for (int i = 0; i < 3000; i++) {
        pthread_mutex_lock(&mutex);
        count = count + 1;
        pthread_mutex_unlock(&mutex);
      }
    };
    Joined a(body), b(body), c(body), d(body);
  }
  CHECK_EQ(count, 12000);
}
TEST(conditions_and_barriers_wake_who_waits) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
  static pthread_barrier_t barrier;
  static int turn;
  CHECK_EQ(pthread_barrier_init(&barrier, nullptr, 4), 0);
  auto body = [](int own) {
    return [own] {
      for (int round = 0; round < 200; round++) {
        pthread_mutex_lock(&mutex);
        while (turn % 4 != own) pthread_cond_wait(&changed, &mutex);
        turn++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
      }
      pthread_barrier_wait(&barrier);
    };
  };
  { Joined a(body(0)), b(body(1)), c(body(2)), d(body(3)); }
  CHECK_EQ(turn, 800);
}
TEST(futex_waits_only_for_the_value_and_time_it_is_told) {
  int word = 1;
  CHECK_ERR(futex(&word, FUTEX_WAIT, 0), EAGAIN);
  timespec moment = {0, 2000000};
  CHECK_ERR(futex(&word, FUTEX_WAIT, 1, (long)&moment), ETIMEDOUT);
  CHECK_ERR(futex((char*)&word + 1, FUTEX_WAIT, 1), EINVAL);
  CHECK_ERR(futex(nullptr, FUTEX_WAIT, 1), EFAULT);
  CHECK_EQ(futex(&word, FUTEX_WAKE, 10), 0);
}
TEST(futex_requeue_moves_waiters_to_another_word) {
  static std::atomic<int> from{0};
  static int targets[256];  // some stand in the same bucket as `from`, most in others
  for (int& to : targets) {
    auto body = [] {
      while (futex(&from, FUTEX_WAIT, 0) == -1 && errno == EINTR) {
      }
    };
    Joined a(body), b(body), c(body);
    long all = 0;
    while ((all += futex(&from, FUTEX_CMP_REQUEUE, 0, 3, &to, 0)) < 3) sched_yield();
    CHECK_ERR(futex(&from, FUTEX_CMP_REQUEUE, 0, 3, &to, 1), EAGAIN);
    CHECK_EQ(futex(&from, FUTEX_WAKE, 10), 0);
    CHECK(futex(&to, FUTEX_WAKE, 10) >= 2);  // 3, but Linux wakes one for nothing now and then
    if (&to - targets == scale(40)) break;
  }
}
TEST(a_shared_word_is_one_futex_in_all_processes) {
  auto* word = (std::atomic<int>*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  for (int i = 0; i < 50; i++) {
    *word = 0;
    pid_t child = in_child([&] {
      while (*word == 0) futex(word, FUTEX_WAIT, 0);
    });
    if (i % 2) pause_a_little();
    *word = 1;
    CHECK_OK(futex(word, FUTEX_WAKE, 1));
    CHECK_EXIT(child, 0);
  }
}
// Who dies with a robust lock leaves word, also when it was alone in its process and the lock is in memory that others map.
TEST(a_robust_lock_outlives_its_owner) {
  auto* mutex = (pthread_mutex_t*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  pthread_mutexattr_t kind;
  CHECK_EQ(pthread_mutexattr_init(&kind), 0);
  CHECK_EQ(pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED), 0);
  CHECK_EQ(pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST), 0);
  CHECK_EQ(pthread_mutex_init(mutex, &kind), 0);
  for (int how = 0; how < 2; how++) {
    Gate taken;
    pid_t child = in_child([&] {
      CHECK_EQ(pthread_mutex_lock(mutex), 0);
      taken.open();
      if (how)
        for (;;) pause();
    });
    taken.wait();
    if (how) kill(child, SIGKILL);
    CHECK_EQ(pthread_mutex_lock(mutex), EOWNERDEAD);
    CHECK_EQ(pthread_mutex_consistent(mutex), 0);
    CHECK_EQ(pthread_mutex_unlock(mutex), 0);
    wait_for(child);
  }
}

// ---- the end of a process with threads
TEST(exit_by_any_thread_ends_all) {
  CHECK_EXIT(in_child([] {
               int ends[2];
               CHECK_OK(pipe(ends));
               start([=] {
                 char c;
                 read(ends[0], &c, 1);
               });
               start([] {
                 for (;;) pause();
               });
               start([] {
                 for (;;) {
                 }
               });
               start([] {
                 pause_a_little();
                 _exit(9);
               });
               for (;;) sched_yield();
             }),
             9);
  CHECK_SIGNAL(in_child([] {
                 start([] {
                   kill(getpid(), SIGTERM);
                   for (;;) pause();
                 });
                 for (;;) {
                 }
               }),
               SIGTERM);
  CHECK_SIGNAL(in_child([] {
                 start([] {
                   static volatile int* volatile nowhere;
                   *nowhere = 1;
                 });
                 for (;;) pause();
               }),
               SIGSEGV);
}
TEST(the_last_thread_ends_the_process) {
  CHECK_EXIT(in_child([] {
               start([] { pause_a_little(); });
               pthread_exit(nullptr);
             }),
             0);
  pid_t child = in_child([] {
    start([] {
      for (;;) pause();
    });
    pthread_exit(nullptr);
  });
  wait_state(child, "Z");  // the first thread is, though another goes on
  int status;
  CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
  CHECK_OK(kill(child, SIGTERM));
  CHECK_SIGNAL(child, SIGTERM);
}
HELPER(is_seven_with_pid) { _exit(getpid() == atoi(g_argv[2]) && thread_id() == getpid() ? 7 : 8); }
static void exec_with_pid() {
  char number[16];
  snprintf(number, sizeof number, "%d", getpid());
  execl(g_program, g_program, "@is_seven_with_pid", number, nullptr);
  _exit(127);
}
// Threads that make threads while one of them calls execve: none survives it, none keeps it waiting.
// They begin together: one alone may take all the address space for stacks before the other is made.
static std::atomic<bool> g_breeds{false};
static void breed() {
  while (!g_breeds) sched_yield();
  for (;;) {
    pthread_t id;
    if (pthread_create(
            &id, nullptr,
            [](void*) -> void* {
              for (int i = 0; i < 2; i++) sched_yield();
              return nullptr;
            },
            nullptr) == 0)
      pthread_detach(id);
  }
}
TEST(exec_by_any_thread_leaves_one_with_the_process_number) {
  for (int i = 0; i < scale(20); i++) {
    CHECK_EXIT(in_child([] {
                 start([] {
                   for (;;) {
                   }
                 });
                 start([] {
                   for (;;) pause();
                 });
                 exec_with_pid();
               }),
               7);
    CHECK_EXIT(in_child([] {
                 start([] { exec_with_pid(); });
                 for (;;) pause();
               }),
               7);
    CHECK_EXIT(in_child([] {
                 start(breed);
                 start(breed);
                 g_breeds = true;
                 pause_a_little();
                 exec_with_pid();
               }),
               7);
  }
}
TEST(exit_while_threads_are_made) {
  for (int i = 0; i < scale(20); i++)
    CHECK_EXIT(in_child([] {
                 start(breed);
                 start(breed);
                 g_breeds = true;
                 pause_a_little();
                 _exit(3);
               }),
               3);
}
TEST(a_stop_stops_all_threads) {
  auto* counters = (volatile int*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  for (int i = 0; i < scale(5); i++) {
    pid_t child = in_child([=] {
      for (int k = 0; k < 3; k++)
        start([=] {
          for (;;) counters[k] = counters[k] + 1;
        });
      start([=] {
        for (;;) {
          Joined made([=] { counters[3] = counters[3] + 1; });
        }
      });
      for (;;) pause();
    });
    for (int k = 0; k < 4; k++)
      for (int seen = counters[k]; counters[k] < seen + 3;) sched_yield();
    int status;
    CHECK_OK(kill(child, SIGSTOP));
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status));
    int seen[4];
    for (bool moved = true; moved;) {  // the others are stopped on their way, soon
      for (int k = 0; k < 4; k++) seen[k] = counters[k];
      for (int k = 0; k < 10; k++) pause_a_little();
      moved = false;
      for (int k = 0; k < 4; k++) moved |= counters[k] != seen[k];
    }
    CHECK_OK(kill(child, SIGCONT));
    for (int k = 0; k < 4; k++)
      while (counters[k] < seen[k] + 3) sched_yield();
    CHECK_OK(kill(child, SIGKILL));
    CHECK_SIGNAL(child, SIGKILL);
  }
}
TEST(a_stopped_process_that_was_about_to_exec_goes_on) {
  for (int i = 0; i < scale(20); i++) {
    pid_t child = in_child([] {
      for (int k = 0; k < 4; k++)
        start([] {
          for (;;) sched_yield();
        });
      exec_with_pid();
    });
    if (i % 2) sched_yield();
    CHECK_OK(kill(child, SIGSTOP));
    int status;
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    if (WIFSTOPPED(status)) {
      CHECK_OK(kill(child, SIGCONT));
      status = wait_for(child);
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  }
}
TEST(fork_copies_the_thread_that_calls_it) {
  Joined other([] {
    CHECK_EXIT(in_child([] {
                 CHECK_EQ(thread_id(), getpid());
                 exec_with_pid();
               }),
               7);
  });
  CHECK_EXIT(in_child([] { CHECK_EQ(thread_id(), getpid()); }), 0);
}

// ---- signals and timers
static std::atomic<int> g_taker, g_taken;
static void note_taker(int) {
  g_taker = thread_id();
  g_taken++;
}
TEST(a_signal_goes_to_a_thread_that_lets_it_through) {
  signal(SIGUSR1, note_taker);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  std::atomic<int> other{0};
  std::atomic<bool> done{false};
  Joined thread([&] {
    other = thread_id();
    while (!done) pause_a_little();
  });
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, nullptr), 0);
  while (other == 0) sched_yield();
  CHECK_OK(kill(getpid(), SIGUSR1));
  while (g_taken == 0) sched_yield();
  CHECK_EQ(g_taker, other);
  CHECK_OK(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1));  // for us, and blocked
  pause_a_little();
  CHECK_EQ(g_taken, 1);
  CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &set, nullptr), 0);
  CHECK_EQ(g_taken, 2);
  CHECK_EQ(g_taker, getpid());
  done = true;
}

std::atomic<bool> g_second_came{false};
void wait_for_second(int) {
  while (!g_second_came) sched_yield();
}
void note_second(int) { g_second_came = true; }

// Both signals are for the first thread, which lets the second through no longer once it handles the first.
// Whoever was told of it may end without having looked: the other must be told then, or it sleeps on.
TEST(a_signal_told_to_a_thread_that_ends_is_not_lost) {
  signal(SIGUSR1, note_taker);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  std::atomic<bool> go = false, ends = false;
  std::atomic<int> ready = 0;
  for (int round = 0; round < scale(100); round++) {
    g_taken = 0;
    ready = 0;
    go = ends = false;
    Joined passing([&] {  // stands before the sleeper
      ready++;
      while (!go) sched_yield();
    });
    Joined sleeper([&] {
      ready++;
      while (!ends) pause();
      ready = 0;
    });
    while (ready != 2) sched_yield();
    CHECK_OK(pthread_sigmask(SIG_BLOCK, &set, nullptr));  // not this one
    go = true;
    if (round & 1) sched_yield();
    CHECK_OK(kill(getpid(), SIGUSR1));
    passing.join();
    while (g_taken == 0) pause_a_little();
    ends = true;
    for (; ready != 0; pause_a_little()) CHECK_EQ(pthread_kill(sleeper.id, SIGUSR1), 0);
    sleeper.join();
    CHECK_OK(pthread_sigmask(SIG_UNBLOCK, &set, nullptr));
  }
}
TEST(a_signal_that_its_thread_blocks_meanwhile_goes_to_another) {
  struct sigaction first = {}, second = {};
  first.sa_handler = wait_for_second;
  sigaddset(&first.sa_mask, SIGUSR2);
  second.sa_handler = note_second;
  CHECK_OK(sigaction(SIGUSR1, &first, nullptr));
  CHECK_OK(sigaction(SIGUSR2, &second, nullptr));
  for (int i = 0; i < 20; i++) {
    g_second_came = false;
    std::atomic<bool> is_there{false};
    Joined other([&] {
      is_there = true;
      while (!g_second_came) pause_a_little();
    });
    while (!is_there) sched_yield();
    Joined sender([] {
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_BLOCK, &all, nullptr);
      kill(getpid(), SIGUSR1);
      kill(getpid(), SIGUSR2);
    });
    while (!g_second_came) pause_a_little();
  }
}

TEST(several_threads_set_the_same_timer) {
  signal(SIGALRM, note_taker);
  auto body = [] {
    for (int i = 0; i < scale(1000); i++) {
      itimerval value = {{0, i % 3 ? 100 : 0}, {0, i % 5 * 200}}, old;
      CHECK_OK(setitimer(ITIMER_REAL, &value, &old));
    }
  };
  { Joined a(body), b(body), c(body), d(body); }
  itimerval off = {};
  CHECK_OK(setitimer(ITIMER_REAL, &off, nullptr));
  alarm(0);
}
