// Time: clocks, sleeping, alarms and interval timers. Only lower bounds and order are checked, never how fast it went.
#include "user/tests/harness.h"
#include <pthread.h>
#include <sys/time.h>
#include <sys/times.h>
#include <utility>

static long long now(clockid_t clock = CLOCK_MONOTONIC) {
  timespec t;
  CHECK_OK(clock_gettime(clock, &t));
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static volatile int g_ticks;
static void count_ticks(int number) {
  struct sigaction action = {};
  action.sa_handler = [](int) { g_ticks = g_ticks + 1; };
  CHECK_OK(sigaction(number, &action, nullptr));
}

// As clock_getcpuclockid(3) makes them.
static clockid_t made_clock(pid_t of, int what) { return (~of << 3) | what; }

TEST(clocks_go_forwards) {
  for (clockid_t clock :
       {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_PROCESS_CPUTIME_ID, CLOCK_MONOTONIC_COARSE, CLOCK_REALTIME_COARSE, CLOCK_BOOTTIME}) {
    long long last = now(clock);
    for (int i = 0; i < 2000; i++) {
      long long t = now(clock);
      CHECK(t >= last);
      last = t;
    }
    timespec resolution;
    CHECK_OK(clock_getres(clock, &resolution));
    CHECK(resolution.tv_sec == 0 && resolution.tv_nsec > 0);
  }
  timespec t;
  CHECK_ERR(clock_gettime(9999, &t), EINVAL);
}
TEST(clocks_of_other_processes_and_threads) {
  Gate started, go_on;
  pid_t child = in_child([&] {
    while (now(CLOCK_PROCESS_CPUTIME_ID) < 20'000'000) {
    }
    started.open();
    go_on.wait();
  });
  started.wait();
  clockid_t childs, own, threads, user = made_clock(child, 1), both = made_clock(child, 0);
  CHECK_EQ(clock_getcpuclockid(child, &childs), 0);
  CHECK(now(childs) >= 20'000'000);
  CHECK_EQ(now(childs), now(childs));  // it sleeps
  CHECK(now(user) <= now(both));
  timespec t;
  CHECK_ERR(clock_gettime(made_clock(child, 3), &t), EINVAL);
  CHECK_ERR(clock_gettime(made_clock(child, 2 | 4), &t), EINVAL);  // a thread, but of another process
  go_on.open();
  CHECK_EXIT(child, 0);
  CHECK_ERR(clock_gettime(childs, &t), EINVAL);

  CHECK_EQ(clock_getcpuclockid(getpid(), &own), 0);
  CHECK_EQ(pthread_getcpuclockid(pthread_self(), &threads), 0);
  for (clockid_t clock : {own, threads, made_clock(0, 2), made_clock(0, 2 | 4)}) {
    const long long before = now(CLOCK_THREAD_CPUTIME_ID), between = now(clock), after = now(CLOCK_PROCESS_CPUTIME_ID);
    CHECK(before <= between && between <= after);
  }
}
TEST(clocks_go_forwards_on_every_processor) {
  long long* last = (long long*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  Gate turn[2];
  pid_t child = in_child([&] {
    for (int i = 0; i < 200; i++) {
      turn[0].wait();
      long long t = now();
      CHECK(t >= *last);
      *last = t;
      turn[1].open();
    }
  });
  for (int i = 0; i < 200; i++) {
    long long t = now();
    CHECK(t >= *last);
    *last = t;
    turn[0].open();
    turn[1].wait();
  }
  CHECK_EXIT(child, 0);
}
TEST(the_real_time_calls_agree) {
  time_t a = time(nullptr);
  timeval b;
  CHECK_OK(gettimeofday(&b, nullptr));
  timespec c;
  CHECK_OK(clock_gettime(CLOCK_REALTIME, &c));
  CHECK(a <= b.tv_sec && (b.tv_sec < c.tv_sec || (b.tv_sec == c.tv_sec && b.tv_usec <= c.tv_nsec / 1000)));
  CHECK(a > 1600000000);
  CHECK(b.tv_usec >= 0 && b.tv_usec < 1000000);
}
TEST(sleeping_takes_at_least_as_long) {
  for (long ns : {1L, 100000L, 3000000L, 30000000L}) {
    timespec t = {0, ns};
    long long start = now();
    CHECK_OK(nanosleep(&t, nullptr));
    CHECK(now() - start >= ns);
  }
  long long start = now();
  CHECK_EQ(poll(nullptr, 0, 20), 0);
  CHECK(now() - start >= 20000000);
  timespec bad = {0, 1000000000}, negative = {-1, 0};
  CHECK_ERR(nanosleep(&bad, nullptr), EINVAL);
  CHECK_ERR(nanosleep(&negative, nullptr), EINVAL);
}
TEST(sleeping_until_an_absolute_time) {
  timespec t;
  CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &t));
  long long target = t.tv_sec * 1000000000LL + t.tv_nsec + 20000000;
  t = {time_t(target / 1000000000), long(target % 1000000000)};
  CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr), 0);
  CHECK(now() >= target);
  CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr), 0);  // already past
  CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, 0, &(t = {0, 1000}), nullptr), 0);
  CHECK_EQ(clock_nanosleep(9999, 0, &t, nullptr), EINVAL);
}
// Pintos: alarm-multiple; sleepers of different lengths, none too early.
TEST(several_sleepers_wake) {
  int fd[2];
  CHECK_OK(pipe(fd));
  timespec base;
  CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &base));
  for (int i = 0; i < 5; i++)
    in_child([&] {
      int delay = (5 - i) * 200;  // milliseconds, the first sleeps longest
      timespec t = {base.tv_sec + (base.tv_nsec / 1000000 + delay) / 1000, (base.tv_nsec / 1000000 + delay) % 1000 * 1000000};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
      long long woke = now();
      CHECK_EQ(write(fd[1], &woke, sizeof woke), sizeof woke);
      CHECK(woke >= (base.tv_sec * 1000LL + base.tv_nsec / 1000000 + delay) * 1000000);
    });
  close(fd[1]);
  int n = 0;
  for (long long t; read(fd[0], &t, sizeof t) == sizeof t; n++) {
  }
  CHECK_EQ(n, 5);
}
TEST(alarms) {
  count_ticks(SIGALRM);
  CHECK_EQ(alarm(100), 0);
  unsigned left = alarm(50);
  CHECK(left > 50 && left <= 100);
  CHECK(alarm(0) > 10);
  CHECK_EQ(alarm(0), 0);
  long long start = now();
  alarm(1);
  CHECK_ERR(pause(), EINTR);
  CHECK(now() - start >= 900000000);
  CHECK_EQ(g_ticks, 1);
  CHECK_SIGNAL(in_child([] {
                 signal(SIGALRM, SIG_DFL);
                 alarm(1);
                 for (;;) pause();
               }),
               SIGALRM);
}
TEST(a_real_interval_timer_repeats) {
  count_ticks(SIGALRM);
  itimerval timer = {{0, 5000}, {0, 5000}}, old;
  long long start = now();
  CHECK_OK(setitimer(ITIMER_REAL, &timer, nullptr));
  while (g_ticks < 5) pause();
  CHECK(now() - start >= 25000000 - 5000000);
  CHECK_OK(getitimer(ITIMER_REAL, &old));
  CHECK_EQ(old.it_interval.tv_usec, 5000);
  timer = {};
  CHECK_OK(setitimer(ITIMER_REAL, &timer, &old));
  CHECK_EQ(old.it_interval.tv_usec, 5000);
  CHECK_OK(getitimer(ITIMER_REAL, &old));
  CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0);
  timer.it_value.tv_usec = 1000000;
  CHECK_ERR(setitimer(ITIMER_REAL, &timer, nullptr), EINVAL);
  CHECK_ERR(setitimer(99, &timer, nullptr), EINVAL);
}
TEST(processor_time_timers_count_work_not_sleep) {
  count_ticks(SIGVTALRM);
  count_ticks(SIGPROF);
  itimerval timer = {{0, 0}, {0, 30000}};
  CHECK_OK(setitimer(ITIMER_VIRTUAL, &timer, nullptr));
  timespec t = {0, 100000000};
  nanosleep(&t, nullptr);
  CHECK_EQ(g_ticks, 0);
  while (g_ticks == 0) spin(1000);
  CHECK_OK(setitimer(ITIMER_PROF, &timer, nullptr));
  while (g_ticks == 1) getppid();
  CHECK_EQ(g_ticks, 2);
}
TEST(processor_time_timers_repeat_can_be_asked_and_are_not_inherited) {
  for (auto [which, number] : {std::pair{ITIMER_VIRTUAL, SIGVTALRM}, std::pair{ITIMER_PROF, SIGPROF}}) {
    g_ticks = 0;
    count_ticks(number);
    itimerval timer = {{0, 20000}, {0, 20000}}, seen;
    CHECK_OK(setitimer(which, &timer, nullptr));
    CHECK_OK(getitimer(which, &seen));
    CHECK_EQ(seen.it_interval.tv_usec, 20000);
    CHECK(seen.it_value.tv_sec == 0 && seen.it_value.tv_usec > 0);
    CHECK_EXIT(in_child([=] {
                 itimerval own;
                 CHECK_OK(getitimer(which, &own));
                 CHECK(own.it_value.tv_sec == 0 && own.it_value.tv_usec == 0 && own.it_interval.tv_usec == 0);
               }),
               0);
    while (g_ticks < 3) spin(1000);
    timer = {};
    CHECK_OK(setitimer(which, &timer, &seen));
    CHECK_EQ(seen.it_interval.tv_usec, 20000);
    CHECK_OK(getitimer(which, &seen));
    CHECK(seen.it_value.tv_sec == 0 && seen.it_value.tv_usec == 0);
  }
}
TEST(a_period_of_a_microsecond_leaves_time_for_the_program) {
  if (!on_faultline()) SKIP("some of Linux's hosts do nothing else then");
  count_ticks(SIGALRM);
  itimerval timer = {{0, 1}, {0, 1}};
  CHECK_OK(setitimer(ITIMER_REAL, &timer, nullptr));
  for (int i = 0; i < 100; i++) spin(1000);
  while (g_ticks < 10) spin(1000);
  timer = {};
  CHECK_OK(setitimer(ITIMER_REAL, &timer, nullptr));
}
TEST(processor_time_is_accounted) {
  rusage usage;
  do {
    spin(10000);
    CHECK_OK(getrusage(RUSAGE_SELF, &usage));
  } while (usage.ru_utime.tv_sec == 0 && usage.ru_utime.tv_usec < 20000);
  tms before, after;
  clock_t t0 = times(&before);
  while (times(&after), after.tms_utime + after.tms_stime < before.tms_utime + before.tms_stime + 2) {
  }
  CHECK(times(&after) >= t0);
  CHECK(now(CLOCK_PROCESS_CPUTIME_ID) >= 20000000);
  // A child's time arrives with wait.
  CHECK_EXIT(in_child([] {
               rusage u;
               do {
                 getrusage(RUSAGE_SELF, &u);
               } while (u.ru_utime.tv_usec + u.ru_stime.tv_usec < 30000 && u.ru_utime.tv_sec == 0);
             }),
             0);
  CHECK_OK(getrusage(RUSAGE_CHILDREN, &usage));
  CHECK(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec >= 30000);
}
TEST(switches_are_counted) {
  rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  do {
    pause_a_little();
    getrusage(RUSAGE_SELF, &after);
  } while (after.ru_nvcsw < before.ru_nvcsw + 10);
}
