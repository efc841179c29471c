// Timers that programs make: timer_create(2) and its signals, timerfd_create(2) and its counts, in the forms with 32 and with 64 bits of seconds.
#include <poll.h>
#include <pthread.h>
#include <sys/timerfd.h>
#include <sys/time.h>

#include <atomic>

#include "user/tests/harness.h"

namespace {

struct Time64 {
  int64_t seconds;
  int32_t nanoseconds, padding;
};
struct Times64 {
  Time64 interval, value;
};
struct Times32 {
  int32_t interval[2], value[2];
};
struct Event {
  int32_t value, signal, notify, thread, unused[12];
};

constexpr int64_t kMilli = 1'000'000, kSecond = 1'000'000'000;
constexpr int kCreate = 259, kSettime = 260, kGettime = 261, kOverrun = 262, kDelete = 263, kGettime64 = 408, kSettime64 = 409;
constexpr int kFdSettime = 325, kFdGettime = 326, kFdGettime64 = 410, kFdSettime64 = 411;

Time64 time64(int64_t nanoseconds) { return {nanoseconds / kSecond, int32_t(nanoseconds % kSecond), 0}; }
Times64 times64(int64_t value, int64_t interval = 0) { return {time64(interval), time64(value)}; }
int64_t of(Time64 time) { return time.seconds * kSecond + time.nanoseconds; }

int64_t now(int clock) {
  Time64 time;
  CHECK_OK(syscall(403, clock, &time));
  return of(time);
}

int make(int clock, int signal, int notify = SIGEV_SIGNAL, int value = 0, int thread = 0) {
  Event event = {value, signal, notify, thread, {}};
  int id = -1;
  CHECK_OK(syscall(kCreate, clock, &event, &id));
  return id;
}
void set(int id, int64_t value, int64_t interval = 0, int flags = 0) {
  Times64 times = times64(value, interval);
  CHECK_OK(syscall(kSettime64, id, flags, &times, nullptr));
}
int64_t left(int id) {
  Times64 times;
  CHECK_OK(syscall(kGettime64, id, &times));
  return of(times.value);
}
void block_signal(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  CHECK_OK(sigprocmask(SIG_BLOCK, &set, nullptr));
}
siginfo_t wait_signal(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  siginfo_t info = {};
  int got;
  while ((got = sigwaitinfo(&set, &info)) < 0) CHECK_EQ(errno, EINTR);
  CHECK_EQ(got, signal);
  return info;
}
bool is_pending(int signal) {
  sigset_t set;
  CHECK_OK(sigpending(&set));
  return sigismember(&set, signal);
}
void sleep_milli(int milliseconds) { usleep(milliseconds * 1000); }

TEST(a_timer_sends_its_signal_with_its_value_not_before_its_time) {
  block_signal(SIGRTMIN);
  for (int clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME}) {
    int id = make(clock, SIGRTMIN, SIGEV_SIGNAL, 0x1234);
    for (int flags : {0, TIMER_ABSTIME}) {
      int64_t start = now(clock);
      set(id, flags ? start + 20 * kMilli : 20 * kMilli, 0, flags);
      siginfo_t info = wait_signal(SIGRTMIN);
      CHECK(now(clock) >= start + 20 * kMilli);
      CHECK_EQ(info.si_code, SI_TIMER);
      CHECK_EQ(info.si_value.sival_int, 0x1234);
      CHECK_EQ(info.si_timerid, id);
      CHECK_EQ(info.si_overrun, 0);
      CHECK_EQ(left(id), 0);
    }
    CHECK_OK(syscall(kDelete, id));
    CHECK_ERR(syscall(kDelete, id), EINVAL);
  }
}

TEST(without_an_event_it_is_sigalrm_with_the_timers_number) {
  block_signal(SIGALRM);
  make(CLOCK_MONOTONIC, SIGRTMIN);  // so that the number is not 0
  int id = -1;
  CHECK_OK(syscall(kCreate, CLOCK_MONOTONIC, nullptr, &id));
  set(id, kMilli);
  siginfo_t info = wait_signal(SIGALRM);
  CHECK_EQ(info.si_code, SI_TIMER);
  CHECK_EQ(info.si_value.sival_int, id);
}

TEST(a_signal_waits_once_and_tells_how_often) {
  block_signal(SIGRTMIN);
  block_signal(SIGUSR1);
  for (int signal : {SIGRTMIN, SIGUSR1}) {
    int id = make(CLOCK_MONOTONIC, signal);
    int64_t start = now(CLOCK_MONOTONIC);
    set(id, 5 * kMilli, 5 * kMilli);
    sleep_milli(60);
    siginfo_t first = wait_signal(signal);
    int64_t most = (now(CLOCK_MONOTONIC) - start) / (5 * kMilli);
    CHECK(first.si_overrun >= 10 && first.si_overrun + 1 <= most);
    CHECK_EQ(syscall(kOverrun, id), first.si_overrun);
    siginfo_t second = wait_signal(signal);
    int64_t total = first.si_overrun + second.si_overrun + 2;
    CHECK(total <= (now(CLOCK_MONOTONIC) - start) / (5 * kMilli));
    int64_t rest = left(id);
    CHECK(rest > 0 && rest <= 5 * kMilli);
    set(id, 0);
    CHECK(!is_pending(signal));
    CHECK_EQ(left(id), 0);
    CHECK_OK(syscall(kDelete, id));
  }
}

TEST(a_signal_that_somebody_else_sent_does_not_go_with_the_timer) {
  block_signal(SIGUSR1);
  for (bool deletes : {false, true}) {
    int id = make(CLOCK_MONOTONIC, SIGUSR1);
    set(id, 1);
    while (!is_pending(SIGUSR1)) sleep_milli(1);
    CHECK_OK(kill(getpid(), SIGUSR1));  // one with the timer's, as they do not queue
    if (deletes)
      CHECK_OK(syscall(kDelete, id));
    else
      set(id, 0);
    CHECK(is_pending(SIGUSR1));
    wait_signal(SIGUSR1);
    CHECK(!is_pending(SIGUSR1));
    if (!deletes) CHECK_OK(syscall(kDelete, id));
  }
}

TEST(a_time_that_has_passed_counts_the_periods_since) {
  block_signal(SIGRTMIN);
  int id = make(CLOCK_MONOTONIC, SIGRTMIN);
  set(id, now(CLOCK_MONOTONIC) - 100 * kMilli, 10 * kMilli, TIMER_ABSTIME);
  siginfo_t info = wait_signal(SIGRTMIN);
  CHECK(info.si_overrun >= 9);
  CHECK(left(id) <= 10 * kMilli);
}

TEST(old_values_come_back_and_bad_arguments_are_refused) {
  int id = make(CLOCK_MONOTONIC, SIGRTMIN);
  Times64 long_times = times64(1000 * kSecond, 7 * kSecond), old;
  CHECK_OK(syscall(kSettime64, id, 0, &long_times, &old));
  CHECK(of(old.value) == 0 && of(old.interval) == 0);
  Times32 short_times = {{3, 0}, {500, 0}}, short_old;
  CHECK_OK(syscall(kSettime, id, 0, &short_times, &short_old));
  CHECK(short_old.value[0] >= 990 && short_old.value[0] <= 1000 && short_old.interval[0] == 7 && short_old.interval[1] == 0);
  CHECK_OK(syscall(kGettime, id, &short_old));
  CHECK(short_old.value[0] >= 490 && short_old.value[0] < 500 && short_old.interval[0] == 3);
  for (Times64 bad : {times64(0), times64(0), times64(0), times64(0)}) {
    static int which;
    (which == 0   ? bad.value.nanoseconds
     : which == 1 ? bad.interval.nanoseconds
                  : *(int32_t*)(which == 2 ? &bad.value.seconds : &bad.interval.seconds)) = which < 2 ? 1000000000 : 0;
    if (which == 2) bad.value.seconds = -1;
    if (which == 3) bad.interval.seconds = -1;
    which++;
    CHECK_ERR(syscall(kSettime64, id, 0, &bad, nullptr), EINVAL);
  }
  CHECK_ERR(syscall(kSettime64, id, 0, nullptr, nullptr), EINVAL);
  CHECK_ERR(syscall(kSettime64, id, 0, 8, nullptr), EFAULT);
  CHECK_ERR(syscall(kSettime64, 12345, 0, &long_times, nullptr), EINVAL);
  CHECK_ERR(syscall(kGettime64, 12345, &old), EINVAL);
  CHECK_ERR(syscall(kGettime64, id, 8), EFAULT);
  CHECK_ERR(syscall(kOverrun, 12345), EINVAL);
  int other;
  Event event = {0, SIGRTMIN, SIGEV_SIGNAL, 0, {}};
  for (int clock : {12, 100, -1}) CHECK_ERR(syscall(kCreate, clock, &event, &other), EINVAL);
  for (int signal : {0, 65, -1}) {
    event.signal = signal;
    CHECK_ERR(syscall(kCreate, CLOCK_MONOTONIC, &event, &other), EINVAL);
  }
  event = {0, SIGRTMIN, 3, 0, {}};
  CHECK_ERR(syscall(kCreate, CLOCK_MONOTONIC, &event, &other), EINVAL);
  event = {0, SIGRTMIN, SIGEV_THREAD_ID, 1, {}};
  CHECK_ERR(syscall(kCreate, CLOCK_MONOTONIC, &event, &other), EINVAL);
  CHECK_ERR(syscall(kCreate, CLOCK_MONOTONIC, 8, &other), EFAULT);
  CHECK_ERR(syscall(kCreate, CLOCK_MONOTONIC, nullptr, 8), EFAULT);
}

TEST(a_timer_that_tells_nobody_only_runs) {
  int id = make(CLOCK_MONOTONIC, 0, SIGEV_NONE);
  set(id, 20 * kMilli, 30 * kMilli);
  CHECK(left(id) > 0 && left(id) <= 20 * kMilli);
  sleep_milli(100);
  CHECK(left(id) > 0 && left(id) <= 30 * kMilli);
  CHECK_EQ(syscall(kOverrun, id), 0);
}

TEST(processor_time_is_counted_only_while_it_is_used) {
  block_signal(SIGRTMIN);
  for (int clock : {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID}) {
    int id = make(clock, SIGRTMIN);
    int64_t start = now(clock);
    set(id, 50 * kMilli, 20 * kMilli);
    sleep_milli(80);
    CHECK(!is_pending(SIGRTMIN) && left(id) > 0 && left(id) <= 50 * kMilli);
    while (!is_pending(SIGRTMIN)) {
    }
    CHECK(now(clock) >= start + 50 * kMilli);
    siginfo_t info = wait_signal(SIGRTMIN);
    CHECK_EQ(info.si_timerid, id);
    while (!is_pending(SIGRTMIN)) {
    }
    wait_signal(SIGRTMIN);
    CHECK_OK(syscall(kDelete, id));
  }
}

volatile int g_told;
pid_t g_thread;

TEST(used_time_that_has_passed_tells_at_once_of_a_thread_that_sleeps) {
  static std::atomic<int> id;
  id = -1;
  block_signal(SIGRTMIN);
  pthread_t sleeper;
  auto body = [](void*) -> void* {
    id = make(CLOCK_THREAD_CPUTIME_ID, SIGRTMIN);
    for (;;) pause();
  };
  CHECK_EQ(pthread_create(&sleeper, nullptr, body, nullptr), 0);
  while (id < 0) sched_yield();
  pause_a_little();
  set(id, 1, 0, TIMER_ABSTIME);
  wait_signal(SIGRTMIN);
  CHECK_EQ(left(id), 0);
}
TEST(one_thread_is_told) {
  struct sigaction action = {};
  action.sa_handler = [](int) { g_told = (int)syscall(SYS_gettid); };
  CHECK_OK(sigaction(SIGRTMIN, &action, nullptr));
  pthread_t thread;
  auto body = [](void*) -> void* {
    __atomic_store_n(&g_thread, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    while (!g_told) usleep(1000);
    return nullptr;
  };
  CHECK_EQ(pthread_create(&thread, nullptr, body, nullptr), 0);
  while (!__atomic_load_n(&g_thread, __ATOMIC_ACQUIRE)) sched_yield();
  int id = make(CLOCK_MONOTONIC, SIGRTMIN, SIGEV_THREAD_ID, 0, g_thread);
  set(id, 5 * kMilli, 5 * kMilli);
  CHECK_EQ(pthread_join(thread, nullptr), 0);
  CHECK_EQ(g_told, g_thread);
  sleep_milli(20);  // there is nobody to be told any more
  CHECK_OK(syscall(kDelete, id));
}

volatile int g_calls;

TEST(the_c_librarys_own_threads_are_told) {
  sigevent event = {};
  event.sigev_notify = SIGEV_THREAD;
  event.sigev_value.sival_int = 77;
  event.sigev_notify_function = [](sigval value) { g_calls = g_calls + (value.sival_int == 77 ? 1 : 1000); };
  timer_t timer;
  CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  itimerspec times = {{0, 5000000}, {0, 5000000}};
  CHECK_OK(timer_settime(timer, 0, &times, nullptr));
  while (g_calls < 5) usleep(1000);
  CHECK_OK(timer_delete(timer));
  CHECK(g_calls < 1000);
}

TEST(children_and_new_programs_have_none_of_them) {
  block_signal(SIGRTMIN);
  int id = make(CLOCK_MONOTONIC, SIGRTMIN);
  set(id, 3 * kMilli, 3 * kMilli);
  CHECK_EXIT(in_child([&] {
               Times64 times;
               CHECK_ERR(syscall(kGettime64, id, &times), EINVAL);
               sleep_milli(15);
               CHECK(!is_pending(SIGRTMIN));
               CHECK_EQ(make(CLOCK_MONOTONIC, SIGRTMIN), 0);
             }),
             0);
  wait_signal(SIGRTMIN);
  CHECK_EXIT(in_child([&] {
               int mine = make(CLOCK_MONOTONIC, SIGKILL);
               set(mine, 200 * kMilli);
               char text[16];
               snprintf(text, sizeof text, "%d", mine);
               execl(g_program, g_program, "@has_no_timer", text, nullptr);
             }),
             4);
  // And one that ends with timers on.
  CHECK_EXIT(in_child([&] {
               for (int i = 0; i < 20; i++) set(make(i % 2 ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, SIGRTMIN), kMilli, kMilli);
               sleep_milli(5);
               _exit(6);
             }),
             6);
}
HELPER(has_no_timer) {
  sleep_milli(400);
  Times64 times;
  _exit(syscall(kGettime64, atoi(g_argv[2]), &times) < 0 && errno == EINVAL ? 4 : 1);
}

TEST(there_is_a_limit) {
  CHECK_EXIT(in_child([] {
               rlimit few = {5, 5};
               CHECK_OK(setrlimit(RLIMIT_SIGPENDING, &few));
               int made = 0, id, last = -1;
               while (syscall(kCreate, CLOCK_MONOTONIC, nullptr, &id) == 0 && made < 100) made++, last = id;
               CHECK_EQ(errno, EAGAIN);
               CHECK(made <= 5);
               if (made == 0) _exit(0);  // others' signals count on Linux
               CHECK_OK(syscall(kDelete, last));
               CHECK_OK(syscall(kCreate, CLOCK_MONOTONIC, nullptr, &id));
             }),
             0);
}

TEST(many_at_once_on_all_processors) {
  block_signal(SIGRTMIN);
  pid_t children[4];
  for (pid_t& child : children)
    child = in_child([] {
      int ids[8];
      for (int& id : ids) set(id = make(CLOCK_MONOTONIC, SIGRTMIN), (1 + rand() % 9) * kMilli, (1 + rand() % 9) * kMilli);
      for (int i = 0; i < scale(100); i++) {
        siginfo_t info = wait_signal(SIGRTMIN);
        if (i % 3 == 0) {
          CHECK_OK(syscall(kDelete, info.si_timerid));
          for (int& id : ids)
            if (id == info.si_timerid) set(id = make(CLOCK_MONOTONIC, SIGRTMIN), 5 * kMilli, 3 * kMilli);
        }
      }
    });
  for (pid_t child : children) CHECK_EXIT(child, 0);
}

// ---- nobody's timers

int64_t timer_interrupts() {
  FILE* file = fopen("/proc/interrupts", "r");
  CHECK(file != nullptr);
  char line[1024];
  int64_t sum = -1;
  while (fgets(line, sizeof line, file)) {
    if (!strstr(line, "LOC:")) continue;
    sum = 0;
    for (char *at = strchr(line, ':') + 1, *end; strtoll(at, &end, 10), end != at; at = end) sum += strtoll(at, nullptr, 10);
  }
  fclose(file);
  return sum;
}

// A tick of 10 ms would be 200 on each processor.
// However short and many: what they miss is counted. On a machine that counts instructions, where time passes only in the guest.
TEST(hundreds_of_short_timers_leave_a_processor_to_programs) {
  if (!getenv("COUNTED_TIME")) SKIP("manifest: timers-counted");
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(sched_getcpu(), &here);
  CHECK_OK(sched_setaffinity(0, sizeof here, &here));
  block_signal(SIGRTMIN);
  auto work = [] {
    int64_t end = now(CLOCK_MONOTONIC) + 20 * kMilli;
    int done = 0;
    while (now(CLOCK_MONOTONIC) < end) done++;
    return done;
  };
  int alone = work();
  for (int i = 0; i < 500; i++) set(make(CLOCK_MONOTONIC, SIGRTMIN), kMilli + i * 1000, kMilli);
  int beside = work();
  if (beside < alone * 3 / 4) FAIL("%d rounds of work beside the timers, %d alone", beside, alone);
}

TEST(processors_with_nothing_to_do_are_left_alone) {
  int64_t before = timer_interrupts();
  if (!on_faultline() || before < 0) SKIP("only where nothing else runs");
  sleep_milli(2000);
  CHECK(timer_interrupts() - before < 100);
}

// ---- setitimer, which is the same mechanism

TEST(an_interval_timer_keeps_its_period) {
  block_signal(SIGALRM);
  itimerval times = {{0, 5000}, {0, 5000}};
  int64_t start = now(CLOCK_MONOTONIC);
  CHECK_OK(setitimer(ITIMER_REAL, &times, nullptr));
  for (int i = 0; i < 5; i++) wait_signal(SIGALRM);
  CHECK(now(CLOCK_MONOTONIC) >= start + 5 * 5 * kMilli);
  CHECK_OK(getitimer(ITIMER_REAL, &times));
  CHECK(times.it_interval.tv_usec == 5000 && times.it_value.tv_sec == 0 && times.it_value.tv_usec > 0 && times.it_value.tv_usec <= 5000);
}

// ---- timerfd

uint64_t count_of(int fd) {
  uint64_t count = 0;
  CHECK_EQ(read(fd, &count, sizeof count), (long)sizeof count);
  return count;
}
short ready(int fd, int milliseconds = 0) {
  pollfd entry = {fd, POLLIN | POLLOUT, 0};
  CHECK_OK(poll(&entry, 1, milliseconds));
  return entry.revents;
}
void set_fd(int fd, int64_t value, int64_t interval = 0, int flags = 0) {
  Times64 times = times64(value, interval);
  CHECK_OK(syscall(kFdSettime64, fd, flags, &times, nullptr));
}

TEST(a_timer_is_a_file_that_becomes_readable) {
  for (int clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME}) {
    int fd = (int)CHECK_OK(timerfd_create(clock, TFD_NONBLOCK));
    uint64_t count;
    CHECK_ERR(read(fd, &count, sizeof count), EAGAIN);
    CHECK_EQ(ready(fd), 0);
    for (int flags : {0, int(TFD_TIMER_ABSTIME)}) {
      int64_t start = now(clock);
      set_fd(fd, flags ? start + 20 * kMilli : 20 * kMilli, 0, flags);
      CHECK_EQ(ready(fd, -1), POLLIN);
      CHECK(now(clock) >= start + 20 * kMilli);
      CHECK_EQ(count_of(fd), 1);
      CHECK_ERR(read(fd, &count, sizeof count), EAGAIN);
    }
    CHECK_ERR(read(fd, &count, 7), EINVAL);
    CHECK_ERR(write(fd, &count, sizeof count), EINVAL);
    CHECK_OK(close(fd));
  }
}

TEST(reading_waits_and_counts) {
  int fd = (int)CHECK_OK(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  int64_t start = now(CLOCK_MONOTONIC);
  set_fd(fd, 10 * kMilli, 5 * kMilli);
  CHECK_EQ(count_of(fd) >= 1, true);
  sleep_milli(50);
  uint64_t many = count_of(fd);
  CHECK(many >= 9 && many <= uint64_t((now(CLOCK_MONOTONIC) - start) / (5 * kMilli)));
  Times64 times;
  CHECK_OK(syscall(kFdGettime64, fd, &times));
  CHECK(of(times.interval) == 5 * kMilli && of(times.value) > 0 && of(times.value) <= 5 * kMilli);
  Times32 short_times = {{0, 0}, {100, 0}}, old;
  CHECK_OK(syscall(kFdSettime, fd, 0, &short_times, &old));
  CHECK(old.interval[1] == 5 * kMilli);
  CHECK_EQ(ready(fd), 0);  // setting forgets
  CHECK_OK(syscall(kFdGettime, fd, &old));
  CHECK(old.value[0] >= 98 && old.value[0] <= 100);
  set_fd(fd, now(CLOCK_MONOTONIC) - 95 * kMilli, 10 * kMilli, TFD_TIMER_ABSTIME);
  CHECK(count_of(fd) >= 10);
  set_fd(fd, 0);
  CHECK_EQ(ready(fd), 0);
}

TEST(a_timer_file_refuses_what_makes_no_sense) {
  CHECK_ERR(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
  CHECK_ERR(timerfd_create(99, 0), EINVAL);
  CHECK_ERR(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
  int fd = (int)CHECK_OK(timerfd_create(CLOCK_MONOTONIC, 0)), other = make_file("plain");
  Times64 times = times64(kSecond), bad = times64(kSecond);
  bad.value.nanoseconds = -1;
  CHECK_ERR(syscall(kFdSettime64, fd, 4, &times, nullptr), EINVAL);
  CHECK_ERR(syscall(kFdSettime64, fd, 0, &bad, nullptr), EINVAL);
  CHECK_ERR(syscall(kFdSettime64, fd, 0, 8, nullptr), EFAULT);
  CHECK_ERR(syscall(kFdSettime64, other, 0, &times, nullptr), EINVAL);
  CHECK_ERR(syscall(kFdSettime64, 999, 0, &times, nullptr), EBADF);
  CHECK_ERR(syscall(kFdGettime64, other, &times), EINVAL);
  CHECK_ERR(syscall(kFdGettime64, fd, 8), EFAULT);
  CHECK_ERR(lseek(fd, 0, SEEK_SET), ESPIPE);
}

TEST(a_child_shares_it) {
  int fd = (int)CHECK_OK(timerfd_create(CLOCK_MONOTONIC, 0));
  CHECK_EXIT(in_child([&] { set_fd(fd, 10 * kMilli); }), 0);
  CHECK_EQ(count_of(fd), 1);
  CHECK_EXIT(in_child([&] { close(fd); }), 0);
}

// When the wall clock is set, what waits for a time of it goes along; what waits for a while does not.
TEST(setting_the_clock_moves_absolute_timers_and_cancels_those_that_asked) {
  if (geteuid() != 0) SKIP("needs root");
  if (!on_faultline()) SKIP("leaves the clock of this machine alone");
  constexpr int kReal = CLOCK_REALTIME;
  auto move_clock = [](int64_t by) {
    Time64 time = time64(now(kReal) + by);
    CHECK_OK(syscall(404, kReal, &time));
  };
  int absolute = (int)CHECK_OK(timerfd_create(kReal, TFD_NONBLOCK)), relative = (int)CHECK_OK(timerfd_create(kReal, TFD_NONBLOCK));
  int cancelled = (int)CHECK_OK(timerfd_create(kReal, TFD_NONBLOCK));
  block_signal(SIGRTMIN);
  int with_signal = make(kReal, SIGRTMIN);
  int64_t later = now(kReal) + 3000 * kSecond;
  set_fd(absolute, later, 0, TFD_TIMER_ABSTIME);
  set_fd(relative, 3000 * kSecond);
  set_fd(cancelled, later, 0, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
  set(with_signal, later, 0, TIMER_ABSTIME);
  move_clock(1000 * kSecond);
  CHECK(left(with_signal) <= 2000 * kSecond && left(with_signal) > 1900 * kSecond);
  CHECK_EQ(ready(absolute), 0);
  CHECK_EQ(ready(cancelled), POLLIN);
  uint64_t count;
  CHECK_ERR(read(cancelled, &count, sizeof count), ECANCELED);
  CHECK_ERR(read(cancelled, &count, sizeof count), EAGAIN);
  move_clock(-500 * kSecond);
  CHECK(left(with_signal) <= 2500 * kSecond && left(with_signal) > 2400 * kSecond);
  move_clock(4000 * kSecond);
  wait_signal(SIGRTMIN);
  CHECK_EQ(ready(absolute, -1), POLLIN);
  CHECK_EQ(count_of(absolute), 1);
  CHECK_EQ(ready(relative), 0);
  move_clock(-4500 * kSecond);
}

// A time before the machine's start would leave absolute times below 0: refused, like one that the clock could not run on from.
TEST(the_clock_is_not_set_to_before_the_start_nor_to_its_end) {
  if (geteuid() != 0 || !on_faultline()) SKIP("leaves the clock of this machine alone");
  int64_t before = now(CLOCK_REALTIME);
  for (int64_t bad : {int64_t(0), now(CLOCK_MONOTONIC) / 2, INT64_MAX}) {
    Time64 time = time64(bad);
    CHECK_ERR(syscall(404, CLOCK_REALTIME, &time), EINVAL);
  }
  CHECK(now(CLOCK_REALTIME) - before < 1000 * kSecond && now(CLOCK_REALTIME) >= before);
}

TEST(absolute_times_of_long_ago_go_off_at_once) {
  block_signal(SIGRTMIN);
  for (int clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME}) {
    int id = make(clock, SIGRTMIN);
    int fd = (int)CHECK_OK(timerfd_create(clock, 0));
    set(id, 1, 0, TIMER_ABSTIME);
    set_fd(fd, 1, 0, TFD_TIMER_ABSTIME);
    wait_signal(SIGRTMIN);
    CHECK_EQ(count_of(fd), 1);
    CHECK_OK(syscall(kDelete, id));
    CHECK_OK(close(fd));
  }
}

// A periodic timer that goes off while the clock is being set goes on; set to and fro, it stays where it was.
TEST(periodic_timers_survive_a_clock_that_is_set_again_and_again) {
  if (geteuid() != 0 || !on_faultline()) SKIP("leaves the clock of this machine alone");
  int fds[16];
  for (int& fd : fds) {
    fd = (int)CHECK_OK(timerfd_create(CLOCK_REALTIME, 0));
    set_fd(fd, now(CLOCK_REALTIME) + kMilli, kMilli, TFD_TIMER_ABSTIME);
  }
  for (int i = 0; i < scale(2000); i++) {
    Time64 time = time64(now(CLOCK_REALTIME));
    CHECK_OK(syscall(404, CLOCK_REALTIME, &time));
  }
  for (int fd : fds) {
    count_of(fd);
    CHECK_EQ(ready(fd, 10000), POLLIN);
    CHECK_OK(close(fd));
  }
}

constexpr int kClockNanosleep64 = 407;

// The machine's wall clock, and how far it has been set off the true time.
struct WallClock {
  const int64_t start = now(CLOCK_REALTIME), since = now(CLOCK_MONOTONIC);
  int64_t passed() const { return now(CLOCK_MONOTONIC) - since; }
  void set_back(int64_t by) const {
    Time64 time = time64(start + passed() - by);
    CHECK_OK(syscall(404, CLOCK_REALTIME, &time));
  }
};

// Who sleeps until a time of the clock goes on when the clock has that time, however it came to it.
TEST(a_sleep_until_a_time_of_the_clock_ends_when_that_is_set) {
  if (geteuid() != 0 || !on_faultline()) SKIP("leaves the clock of this machine alone");
  constexpr int kWaitBits = 9 | 256, kLock = 6, kFutex64 = 422;
  WallClock clock;
  int* words = (int*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  words[1] = getpid();  // who holds the lock
  Time64 soon = time64(clock.start + 1000 * kSecond);
  pid_t sleepers[] = {
      in_child([&] { CHECK_OK(syscall(kClockNanosleep64, CLOCK_REALTIME, TIMER_ABSTIME, &soon, nullptr)); }),
      in_child([&] { CHECK_ERR(syscall(kFutex64, &words[0], kWaitBits, 0, &soon, nullptr, ~0), ETIMEDOUT); }),
      in_child([&] { CHECK_ERR(syscall(kFutex64, &words[1], kLock, 0, &soon, nullptr, 0), ETIMEDOUT); }),
  };
  auto all_sleep = [&] {
    for (pid_t sleeper : sleepers) wait_state(sleeper, "S");
  };
  all_sleep();
  clock.set_back(5000 * kSecond);
  all_sleep();
  clock.set_back(-999 * kSecond);
  all_sleep();
  clock.set_back(-2000 * kSecond);
  for (pid_t sleeper : sleepers) CHECK_EXIT(sleeper, 0);
  clock.set_back(0);
}

// A time that is near when the sleep begins, and far when it would have ended.
TEST(a_sleep_goes_on_when_the_clock_is_set_back) {
  if (geteuid() != 0 || !on_faultline()) SKIP("leaves the clock of this machine alone");
  WallClock clock;
  Time64 soon = time64(clock.start + 400 * kMilli);
  pid_t sleeper = in_child([&] { CHECK_OK(syscall(kClockNanosleep64, CLOCK_REALTIME, TIMER_ABSTIME, &soon, nullptr)); });
  wait_state(sleeper, "SZ");
  clock.set_back(1000 * kSecond);
  wait_state(sleeper, "SZ");
  char before = state_of(sleeper);  // Z: this machine is so slow that its time had come
  while (clock.passed() < 600 * kMilli) sleep_milli(50);
  CHECK_EQ(state_of(sleeper), before);
  clock.set_back(0);
  CHECK_EXIT(sleeper, 0);
}

// What waits for a time of the clock is moved once by each change, also when it is set at that moment.
TEST(a_timer_that_is_set_while_the_clock_is_set_is_moved_once) {
  if (geteuid() != 0 || !on_faultline()) SKIP("leaves the clock of this machine alone");
  constexpr int64_t kStep = 1000 * kSecond, kLater = 100000 * kSecond;
  int64_t start = now(CLOCK_REALTIME), since = now(CLOCK_MONOTONIC);
  pid_t setter = in_child([&] {
    for (int i = 0; i < scale(1000); i++) {
      Time64 time = time64(start + (i % 2 ? 0 : kStep));
      CHECK_OK(syscall(404, CLOCK_REALTIME, &time));
    }
  });
  int id = make(CLOCK_REALTIME, SIGRTMIN);
  int status;
  // The clock is at one of two times. What is moved twice would be left with a step more or a step less than either.
  while (waitpid(setter, &status, WNOHANG) == 0) {
    set(id, start + kLater, 0, TIMER_ABSTIME);
    int64_t rest = left(id);
    CHECK(rest > kLater - kStep - kStep / 2 && rest < kLater + kStep / 2);
  }
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  Time64 time = time64(start + now(CLOCK_MONOTONIC) - since);
  CHECK_OK(syscall(404, CLOCK_REALTIME, &time));
}

}  // namespace

#include "user/tests/harness_main.h"
