// sched(7): policies, priorities, nice values, processors; and who runs when not all can. Shares are those of processor time used, as
// CLOCK_THREAD_CPUTIME_ID tells it, never of the clock on the wall.
#include "user/tests/harness.h"
#include <linux/futex.h>
#include <pthread.h>
#include <atomic>
#include <vector>

static pid_t thread_id() { return syscall(SYS_gettid); }
static int processors() {
  cpu_set_t all;
  CHECK_OK(sched_getaffinity(0, sizeof all, &all));
  return CPU_COUNT(&all);
}
static void stay_on(int cpu, pid_t tid = 0) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  CHECK_OK(sched_setaffinity(tid, sizeof one, &one));
}
static void become(int policy, int priority, pid_t tid = 0) {
  sched_param p = {priority};
  CHECK_OK(sched_setscheduler(tid, policy, &p));
}
static int64_t used() {
  timespec t;
  CHECK_OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t));
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
template <typename F>
struct Thread {
  F body;
  pthread_t id;
  std::atomic<pid_t> tid{0};
  explicit Thread(F f) : body(f) {
    auto run = [](void* self) -> void* {
      auto& thread = *(Thread*)self;
      thread.tid = thread_id();
      thread.body();
      return nullptr;
    };
    CHECK_EQ(pthread_create(&id, nullptr, run, this), 0);
    while (!tid) sched_yield();
  }
  ~Thread() { CHECK_EQ(pthread_join(id, nullptr), 0); }
};

// ---- the calls
TEST(policies_and_their_arguments) {
  sched_param p = {0};
  for (int policy : {SCHED_OTHER, SCHED_BATCH, SCHED_IDLE}) {
    CHECK_OK(sched_setscheduler(0, policy, &p));
    CHECK_EQ(sched_getscheduler(0), policy);
    CHECK_EQ(sched_get_priority_min(policy), 0);
    CHECK_EQ(sched_get_priority_max(policy), 0);
    p.sched_priority = 1;
    CHECK_ERR(sched_setscheduler(0, policy, &p), EINVAL);
    p.sched_priority = 0;
  }
  for (int policy : {SCHED_FIFO, SCHED_RR}) {
    CHECK_EQ(sched_get_priority_min(policy), 1);
    CHECK_EQ(sched_get_priority_max(policy), 99);
    for (int bad : {0, 100, -1}) {
      p.sched_priority = bad;
      CHECK_ERR(sched_setscheduler(0, policy, &p), EINVAL);
    }
    become(policy, 7);
    CHECK_EQ(sched_getscheduler(0), policy);
    CHECK_OK(sched_getparam(0, &p));
    CHECK_EQ(p.sched_priority, 7);
    p.sched_priority = 9;
    CHECK_OK(sched_setparam(0, &p));
    CHECK_OK(sched_getparam(0, &p));
    CHECK_EQ(p.sched_priority, 9);
    timespec interval;
    CHECK_OK(sched_rr_get_interval(0, &interval));
    CHECK_EQ(interval.tv_sec, 0);
    CHECK_EQ(interval.tv_nsec, policy == SCHED_RR ? 100000000 : 0);
    p.sched_priority = 0;
    become(SCHED_OTHER, 0);
  }
  CHECK_ERR(sched_setscheduler(0, 77, &p), EINVAL);
  CHECK_ERR(sched_setscheduler(0, -1, &p), EINVAL);
  CHECK_ERR(sched_setscheduler(-1, SCHED_OTHER, &p), EINVAL);
  CHECK_ERR(sched_setscheduler(0, SCHED_OTHER, nullptr), EINVAL);
  CHECK_ERR(sched_setscheduler(0x7fffff0, SCHED_OTHER, &p), ESRCH);
  CHECK_ERR(sched_getscheduler(-1), EINVAL);
  CHECK_ERR(sched_getscheduler(0x7fffff0), ESRCH);
  CHECK_ERR(sched_getparam(0, nullptr), EINVAL);
  CHECK_ERR(sched_get_priority_max(77), EINVAL);
}
TEST(what_children_inherit) {
  become(SCHED_RR, 5);
  CHECK_EXIT(in_child([] { _exit(sched_getscheduler(0)); }), SCHED_RR);
  become(SCHED_RR | SCHED_RESET_ON_FORK, 5);
  CHECK_EQ(sched_getscheduler(0), SCHED_RR | SCHED_RESET_ON_FORK);
  CHECK_EXIT(in_child([] { _exit(sched_getscheduler(0)); }), SCHED_OTHER);
  become(SCHED_OTHER | SCHED_RESET_ON_FORK, 0);
  CHECK_OK(setpriority(PRIO_PROCESS, 0, -5));
  CHECK_EXIT(in_child([] { _exit(getpriority(PRIO_PROCESS, 0) == 0 && sched_getscheduler(0) == SCHED_OTHER ? 0 : 1); }), 0);
}
TEST(who_may_become_what) {
  CHECK_EXIT(in_child([] {
               rlimit rt = {10, 10}, nice_limit = {25, 25};
               CHECK_OK(setrlimit(RLIMIT_RTPRIO, &rt));
               CHECK_OK(setrlimit(RLIMIT_NICE, &nice_limit));
               CHECK_OK(setresuid(1000, 1000, 1000));
               sched_param p = {11};
               CHECK_ERR(sched_setscheduler(0, SCHED_FIFO, &p), EPERM);
               become(SCHED_FIFO, 10);
               become(SCHED_OTHER, 0);
               CHECK_OK(setpriority(PRIO_PROCESS, 0, -5));  // 20 - 25
               CHECK_ERR(setpriority(PRIO_PROCESS, 0, -6), EACCES);
               errno = 0;
               CHECK_ERR(nice(-6), EPERM);
               p.sched_priority = 0;
               CHECK_ERR(sched_setscheduler(getppid(), SCHED_OTHER, &p), EPERM);
               CHECK_ERR(setpriority(PRIO_PROCESS, getppid(), 1), EPERM);
             }),
             0);
  CHECK_EXIT(in_child([] {
               CHECK_OK(setresuid(1000, 1000, 1000));
               sched_param p = {1};
               CHECK_ERR(sched_setscheduler(0, SCHED_FIFO, &p), EPERM);
               CHECK_OK(setpriority(PRIO_PROCESS, 0, 5));
               CHECK_ERR(setpriority(PRIO_PROCESS, 0, 4), EACCES);
               become(SCHED_BATCH, 0);
               become(SCHED_IDLE, 0);
               p.sched_priority = 0;
               CHECK_ERR(sched_setscheduler(0, SCHED_OTHER, &p), EPERM);  // it would be nicer to itself
             }),
             0);
}
TEST(nice_values_are_the_threads_own) {
  std::atomic<bool> done{false};
  Thread other([&] {
    while (!done) pause_a_little();
  });
  CHECK_OK(setpriority(PRIO_PROCESS, other.tid, 7));
  CHECK_EQ(getpriority(PRIO_PROCESS, other.tid), 7);
  CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
  CHECK_OK(setpriority(PRIO_PROCESS, 0, 3));
  CHECK_EQ(getpriority(PRIO_PROCESS, other.tid), 7);
  CHECK_OK(setpgid(0, 0));
  CHECK_EQ(getpriority(PRIO_PGRP, 0), 3);  // the best of all
  CHECK_OK(setpriority(PRIO_PGRP, 0, 10));
  CHECK_EQ(getpriority(PRIO_PROCESS, other.tid), 10);
  CHECK_ERR(setpriority(9, 0, 1), EINVAL);
  CHECK_ERR(setpriority(PRIO_PROCESS, 0x7fffff0, 1), ESRCH);
  done = true;
}
TEST(affinity_moves_whoever_it_must) {
  const int count = processors();
  if (count < 2) SKIP("one processor");
  std::atomic<bool> done{false};
  std::atomic<int> seen{-1};
  auto spinner = [&] {
    while (!done) seen = sched_getcpu();
  };
  Thread one(spinner);
  for (int i = 0; i < scale(20); i++) {
    int cpu = i % count;
    stay_on(cpu, one.tid);
    stay_on((cpu + 1) % count);
    CHECK_EQ(sched_getcpu(), (cpu + 1) % count);
    while (seen != cpu) sched_yield();
    seen = -1;
    while (seen == -1) sched_yield();
    CHECK_EQ(seen, cpu);
  }
  cpu_set_t none;
  CPU_ZERO(&none);
  CHECK_ERR(sched_setaffinity(0, sizeof none, &none), EINVAL);
  CHECK_ERR(sched_setaffinity(0x7fffff0, sizeof none, &none), ESRCH);
  done = true;
}

// ---- shares
// Runs `count` threads that never sleep, each set up by setup(i), until they have used `total` nanoseconds together; what each has used.
template <typename Setup>
static std::vector<int64_t> shares(int count, int64_t total, Setup setup) {
  static std::atomic<int64_t> all;
  static std::atomic<int> ready;
  static std::atomic<bool> go;
  std::vector<int64_t> result(count);
  std::vector<pthread_t> ids(count);
  all = 0;
  ready = 0;
  go = false;
  struct Argument {
    int i;
    int64_t total, *used;
    Setup setup;
  };
  std::vector<Argument> arguments;
  for (int i = 0; i < count; i++) arguments.push_back({i, total, &result[i], setup});
  auto body = [](void* p) -> void* {
    auto& a = *(Argument*)p;
    a.setup(a.i);
    ready++;
    while (!go) sched_yield();
    for (int64_t begin = used(), before = begin; all < a.total;) {
      spin(2000);
      int64_t now = used();
      all += now - before;
      before = now;
      *a.used = now - begin;
    }
    return nullptr;
  };
  pthread_attr_t small;
  CHECK_EQ(pthread_attr_init(&small), 0);
  CHECK_EQ(pthread_attr_setstacksize(&small, 64 << 10), 0);
  for (int i = 0; i < count; i++) CHECK_EQ(pthread_create(&ids[i], &small, body, &arguments[i]), 0);
  while (ready < count) sched_yield();
  go = true;
  for (pthread_t id : ids) CHECK_EQ(pthread_join(id, nullptr), 0);
  return result;
}
static void check_equal(const std::vector<int64_t>& share, double tolerance) {
  int64_t sum = 0;
  for (int64_t s : share) sum += s;
  for (int64_t s : share)
    if (s < sum / int64_t(share.size()) / tolerance || s > sum / int64_t(share.size()) * tolerance)
      FAIL("one of %zu equal threads used %lld us of %lld", share.size(), (long long)s / 1000, (long long)sum / 1000);
}
TEST(equal_threads_get_equal_shares_of_one_processor) {
  check_equal(shares(5, 1000000000, [](int) { stay_on(0); }), 1.3);
}
TEST(equal_threads_get_equal_shares_of_all_processors) {
  check_equal(shares(processors() + 1, 1500000000LL * processors(), [](int) {}), 1.6);
}
TEST(a_nice_thread_gets_less) {
  auto share = shares(2, 1000000000, [](int i) {
    stay_on(0);
    CHECK_OK(setpriority(PRIO_PROCESS, 0, i * 5));
  });
  CHECK(share[0] > 2 * share[1] && share[0] < 5 * share[1]);  // 1.25 to the fifth: 3
}
TEST(an_idle_class_thread_gets_what_is_left) {
  auto share = shares(2, 1000000000, [](int i) {
    stay_on(0);
    become(i ? SCHED_IDLE : SCHED_BATCH, 0);
  });
  CHECK(share[0] > 10 * share[1]);
}
// It ends when the last of them has run.
TEST(nobody_starves_among_five_hundred) {
  static std::atomic<int> to_come;
  static std::atomic<bool> go;
  constexpr int kThreads = 500;
  to_come = kThreads;
  std::vector<pthread_t> ids(kThreads);
  auto body = [](void*) -> void* {
    while (!go) sched_yield();
    int64_t begin = used();
    for (bool counted = false; to_come > 0;) {
      spin(1000);
      if (counted || used() < begin + 1000000) continue;
      counted = true;
      to_come--;
    }
    return nullptr;
  };
  pthread_attr_t small;
  CHECK_EQ(pthread_attr_init(&small), 0);
  CHECK_EQ(pthread_attr_setstacksize(&small, 64 << 10), 0);
  for (pthread_t& id : ids) CHECK_EQ(pthread_create(&id, &small, body, nullptr), 0);
  go = true;
  for (pthread_t id : ids) CHECK_EQ(pthread_join(id, nullptr), 0);
}
// Who sleeps most of the time runs when it wakes, not after all who never sleep. If it had to wait for its turn, each nap would see the slices
// of four others end; as it is, one is cut short.
TEST(a_sleeper_is_served_at_once) {
  constexpr int kNaps = 50;
  std::atomic<bool> done{false};
  std::atomic<long> slices{0};
  {
    stay_on(0);
    auto spinner = [&] {
      while (!done) spin(1000);
      rusage usage;
      CHECK_OK(getrusage(RUSAGE_THREAD, &usage));
      slices += usage.ru_nivcsw;
    };
    Thread a(spinner), b(spinner), c(spinner), d(spinner);
    for (int i = 0; i < kNaps; i++) {
      timespec t = {0, 1000000};
      nanosleep(&t, nullptr);
    }
    done = true;
  }
  CHECK(slices < 3 * kNaps);
}

// ---- real-time threads
TEST(a_real_time_thread_runs_before_all_others) {
  auto share = shares(3, 400000000, [](int i) {
    stay_on(0);
    if (i == 1) become(SCHED_FIFO, 10);
  });
  CHECK(share[1] > 5 * (share[0] + share[2]));
}
TEST(round_robin_threads_take_turns_and_fifo_ones_do_not) {
  auto turns = shares(2, 900000000, [](int) {
    stay_on(0);
    become(SCHED_RR, 10);
  });
  CHECK(turns[0] > 200000000 && turns[1] > 200000000);
  auto first = shares(2, 300000000, [](int) {
    stay_on(0);
    become(SCHED_FIFO, 10);
  });
  CHECK(std::min(first[0], first[1]) < 50000000);
}
TEST(a_runaway_real_time_thread_can_be_killed) {
  stay_on(0);
  pid_t child = in_child([] {
    become(SCHED_FIFO, 99);
    for (;;) {
    }
  });
  while (sched_getscheduler(child) != SCHED_FIFO) pause_a_little();
  CHECK_OK(kill(child, SIGKILL));
  CHECK_SIGNAL(child, SIGKILL);
}
// The classic: low has the lock, high wants it, medium could keep low from ever giving it back.
static bool high_is_held_up(bool inherits) {
  pthread_mutexattr_t kind;
  pthread_mutex_t mutex;
  CHECK_EQ(pthread_mutexattr_init(&kind), 0);
  CHECK_EQ(pthread_mutexattr_setprotocol(&kind, inherits ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE), 0);
  CHECK_EQ(pthread_mutex_init(&mutex, &kind), 0);
  std::atomic<bool> has_lock{false}, wants_lock{false}, medium_began{false}, medium_done{false};
  bool was_held_up = false;
  stay_on(0);
  become(SCHED_FIFO, 50);
  {
    Thread low([&] {
      become(SCHED_FIFO, 1);
      pthread_mutex_lock(&mutex);
      has_lock = true;
      while (!medium_began) sched_yield();
      spin(10000);
      pthread_mutex_unlock(&mutex);
    });
    while (!has_lock) pause_a_little();
    Thread high([&] {
      become(SCHED_FIFO, 30);
      wants_lock = true;
      pthread_mutex_lock(&mutex);
      was_held_up = medium_done;
      pthread_mutex_unlock(&mutex);
    });
    while (!wants_lock) pause_a_little();
    Thread medium([&] {
      medium_began = true;
      become(SCHED_FIFO, 20);
      for (int64_t begin = used(); used() < begin + 100000000;) spin(1000);
      medium_done = true;
    });
  }
  become(SCHED_OTHER, 0);
  pthread_mutex_destroy(&mutex);
  return was_held_up;
}
TEST(priority_inheritance_ends_priority_inversion) {
  CHECK(high_is_held_up(false));
  CHECK(!high_is_held_up(true));
}
static int priority_of(pid_t tid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
  int fd = CHECK_OK(open(path, O_RDONLY));
  ssize_t n = CHECK_OK(read(fd, text, sizeof text - 1));
  close(fd);
  text[n] = 0;
  char* at = strrchr(text, ')') + 2;
  for (int field = 3; field < 18; field++) at = strchr(at, ' ') + 1;
  return -1 - atoi(at);
}
// a holds 0; b holds 1 and waits for 0; c, urgent, waits for 1: all run at c's priority. When c gives up, they no longer do.
TEST(priority_goes_along_a_chain_and_comes_back) {
  std::atomic<unsigned> words[2] = {};
  std::atomic<bool> release{false};
  std::atomic<int> holding{0};
  auto lock = [&](int i, timespec* end = nullptr) { return syscall(SYS_futex, &words[i], FUTEX_LOCK_PI, 0, end); };
  auto unlock = [&](int i) { CHECK_OK(syscall(SYS_futex, &words[i], FUTEX_UNLOCK_PI)); };
  Thread a([&] {
    CHECK_OK(lock(0));
    holding++;
    while (!release) pause_a_little();
    unlock(0);
  });
  while (holding < 1) pause_a_little();
  Thread b([&] {
    become(SCHED_FIFO, 5);
    CHECK_OK(lock(1));
    holding++;
    CHECK_OK(lock(0));
    unlock(0);
    unlock(1);
  });
  while (priority_of(a.tid) != 5) pause_a_little();
  {
    Thread c([&] {
      become(SCHED_FIFO, 40);
      timespec end;
      CHECK_OK(clock_gettime(CLOCK_REALTIME, &end));
      end.tv_sec++;
      CHECK_ERR(lock(1, &end), ETIMEDOUT);
    });
    while (priority_of(a.tid) != 40 || priority_of(b.tid) != 40) pause_a_little();
    become(SCHED_FIFO, 60, c.tid);
    CHECK_EQ(priority_of(a.tid), 60);
    CHECK_EQ(priority_of(b.tid), 60);
  }
  CHECK_EQ(priority_of(b.tid), 5);
  CHECK_EQ(priority_of(a.tid), 5);
  release = true;
}

// A mutex with a ceiling lends its holder that priority: glibc does it with sched_setparam, which must take effect and be told.
TEST(a_mutex_with_a_priority_ceiling) {
  pthread_mutexattr_t kind;
  pthread_mutex_t mutex;
  int ceiling;
  CHECK_EQ(pthread_mutexattr_init(&kind), 0);
  CHECK_EQ(pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_PROTECT), 0);
  CHECK_EQ(pthread_mutexattr_setprioceiling(&kind, 20), 0);
  CHECK_EQ(pthread_mutex_init(&mutex, &kind), 0);
  auto use_policy = [](int policy, int priority) {
    sched_param wanted = {priority};
    CHECK_EQ(pthread_setschedparam(pthread_self(), policy, &wanted), 0);
  };
  auto priority = [] {
    sched_param now;
    CHECK_OK(sched_getparam(0, &now));
    return now.sched_priority;
  };
  CHECK_EQ(pthread_mutex_lock(&mutex), EINVAL);  // who has no fixed priority cannot be lent one
  use_policy(SCHED_FIFO, 10);
  CHECK_EQ(pthread_mutex_lock(&mutex), 0);
  CHECK_EQ(priority(), 20);
  CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
  use_policy(SCHED_FIFO, 30);
  CHECK_EQ(pthread_mutex_lock(&mutex), EINVAL);
  use_policy(SCHED_FIFO, 5);
  CHECK_EQ(pthread_mutex_setprioceiling(&mutex, 40, &ceiling), 0);
  CHECK_EQ(ceiling, 20);
  CHECK_EQ(pthread_mutex_trylock(&mutex), 0);
  CHECK_EQ(priority(), 40);
  CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
  sched_param none = {};
  CHECK_OK(sched_setscheduler(0, SCHED_OTHER, &none));  // glibc's own call takes a ceiling for the least that it may set from then on
}
