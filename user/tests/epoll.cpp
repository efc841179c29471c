// epoll(7): what is told when, by level, by edge, once; whose watch ends when; instances in instances; every error.
#include "user/tests/injection.h"
#include <limits.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

namespace {

int make_epoll() { return int(CHECK_OK(epoll_create1(EPOLL_CLOEXEC))); }
struct Pipe {
  int in, out;  // to read from, to write to
  Pipe() {
    int fd[2];
    CHECK_OK(pipe2(fd, O_NONBLOCK));
    in = fd[0], out = fd[1];
  }
  void put(int bytes = 1) {
    char text[64] = {};
    CHECK_EQ(write(out, text, bytes), bytes);
  }
  void take(int bytes = 1) {
    char text[64];
    CHECK_EQ(read(in, text, bytes), bytes);
  }
};
int control(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = data;
  return epoll_ctl(epoll, operation, fd, &event);
}
void add(int epoll, int fd, uint32_t events) { CHECK_OK(control(epoll, EPOLL_CTL_ADD, fd, events, uint64_t(fd) << 32 | 7)); }
void change(int epoll, int fd, uint32_t events) { CHECK_OK(control(epoll, EPOLL_CTL_MOD, fd, events, uint64_t(fd) << 32 | 7)); }
void drop(int epoll, int fd) { CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr)); }
int count(int epoll, int most = 16, int timeout = 0) {
  epoll_event events[16];
  return int(CHECK_OK(epoll_wait(epoll, events, most, timeout)));
}
// The only event, which must be of that descriptor; 0 if there is none.
uint32_t event_of(int epoll, int fd, int timeout = 0) {
  epoll_event events[16];
  long n = CHECK_OK(epoll_wait(epoll, events, 16, timeout));
  if (n == 0) return 0;
  CHECK_EQ(n, 1);
  CHECK_EQ(events[0].data.u64, uint64_t(fd) << 32 | 7);
  return events[0].events;
}
bool is_readable(int fd) {
  pollfd p = {fd, POLLIN, 0};
  CHECK_OK(poll(&p, 1, 0));
  return p.revents & POLLIN;
}

}  // namespace

TEST(by_level_as_long_as_it_is_so) {
  int epoll = make_epoll();
  Pipe p;
  add(epoll, p.in, EPOLLIN);
  CHECK_EQ(count(epoll), 0);
  p.put(2);
  for (int i = 0; i < 3; i++) CHECK_EQ(event_of(epoll, p.in), EPOLLIN);
  p.take();
  CHECK_EQ(event_of(epoll, p.in), EPOLLIN);
  p.take();
  CHECK_EQ(count(epoll), 0);
  add(epoll, p.out, EPOLLOUT);
  CHECK_EQ(event_of(epoll, p.out), EPOLLOUT);
  drop(epoll, p.out);
  CHECK_EQ(count(epoll), 0);
  close(p.out);
  CHECK_EQ(event_of(epoll, p.in), EPOLLHUP);  // not asked for, told all the same
}
TEST(by_edge_once_for_each_change) {
  int epoll = make_epoll();
  Pipe p;
  p.put();
  add(epoll, p.in, EPOLLIN | EPOLLET);
  CHECK_EQ(event_of(epoll, p.in), EPOLLIN);  // what was there already counts
  CHECK_EQ(count(epoll), 0);
  p.put();
  p.put();
  CHECK_EQ(event_of(epoll, p.in), EPOLLIN);  // two changes that nobody waited for are one
  CHECK_EQ(count(epoll), 0);
  p.take(2);
  p.put();
  CHECK_EQ(event_of(epoll, p.in), EPOLLIN);
  change(epoll, p.in, EPOLLIN | EPOLLET);  // looks anew
  CHECK_EQ(event_of(epoll, p.in), EPOLLIN);
  CHECK_EQ(count(epoll), 0);
  p.put();
  p.take(3);
  CHECK_EQ(count(epoll), 0);  // an edge that is no longer true
}
TEST(once_until_it_is_asked_for_again) {
  int epoll = make_epoll();
  Pipe p;
  p.put();
  add(epoll, p.in, EPOLLIN | EPOLLONESHOT);
  CHECK_EQ(event_of(epoll, p.in), EPOLLIN);
  p.put();
  CHECK_EQ(count(epoll), 0);
  close(p.out);
  CHECK_EQ(count(epoll), 0);  // not even of a hang-up
  change(epoll, p.in, EPOLLIN | EPOLLONESHOT);
  CHECK_EQ(event_of(epoll, p.in), EPOLLIN | EPOLLHUP);
  CHECK_EQ(count(epoll), 0);
  CHECK_ERR(control(epoll, EPOLL_CTL_ADD, p.in, EPOLLIN, 0), EEXIST);
  drop(epoll, p.in);
}
TEST(what_is_asked_for_can_be_changed) {
  int epoll = make_epoll();
  Pipe p;
  p.put();
  add(epoll, p.in, 0);
  CHECK_EQ(count(epoll), 0);
  CHECK_OK(control(epoll, EPOLL_CTL_MOD, p.in, EPOLLIN, 0x123456789abcdefull));
  epoll_event event;
  CHECK_EQ(epoll_wait(epoll, &event, 1, -1), 1);
  CHECK(event.events == EPOLLIN && event.data.u64 == 0x123456789abcdefull);
  change(epoll, p.in, EPOLLPRI);
  CHECK_EQ(count(epoll), 0);
  drop(epoll, p.in);
  CHECK_ERR(control(epoll, EPOLL_CTL_MOD, p.in, EPOLLIN, 0), ENOENT);
  CHECK_ERR(epoll_ctl(epoll, EPOLL_CTL_DEL, p.in, nullptr), ENOENT);
  add(epoll, p.in, EPOLLIN | EPOLLWAKEUP | EPOLLRDHUP);
  CHECK_EQ(event_of(epoll, p.in), EPOLLIN);
}
TEST(each_ready_file_has_its_turn) {
  int epoll = make_epoll();
  Pipe p[8];
  int told[8] = {};
  for (int i = 0; i < 8; i++) {
    CHECK_OK(control(epoll, EPOLL_CTL_ADD, p[i].in, EPOLLIN, uint64_t(i)));
    p[i].put();
  }
  epoll_event events[3];
  for (int turn = 0; turn < 8; turn++) {
    CHECK_EQ(epoll_wait(epoll, events, 3, 0), 3);
    for (epoll_event& event : events) told[event.data.u64]++;
  }
  for (int n : told) CHECK_EQ(n, 3);
  CHECK_EQ(count(epoll), 8);
}
TEST(a_duplicate_is_watched_for_itself_until_the_open_file_ends) {
  int epoll = make_epoll();
  Pipe p;
  int duplicate = int(CHECK_OK(dup(p.in)));
  add(epoll, p.in, EPOLLIN);
  add(epoll, duplicate, EPOLLIN);
  p.put();
  CHECK_EQ(count(epoll), 2);
  int number = p.in;
  close(p.in);
  CHECK_EQ(count(epoll), 2);  // the open file is the duplicate's too
  CHECK_ERR(epoll_ctl(epoll, EPOLL_CTL_DEL, number, nullptr), EBADF);
  // The number means something else now, and is free to be watched.
  Pipe other;
  CHECK_EQ(other.in, number);
  CHECK_ERR(epoll_ctl(epoll, EPOLL_CTL_DEL, number, nullptr), ENOENT);
  add(epoll, other.in, EPOLLIN);
  CHECK_EQ(count(epoll), 2);
  other.put();
  CHECK_EQ(count(epoll), 3);
  close(duplicate);
  CHECK_EQ(event_of(epoll, other.in), EPOLLIN);
  pid_t child = in_child([&] {
    // A child has the same instance, and the same open files.
    CHECK_EQ(event_of(epoll, other.in), EPOLLIN);
    drop(epoll, other.in);
    Pipe own;
    own.put();
    add(epoll, own.in, EPOLLIN);
    CHECK_EQ(event_of(epoll, own.in), EPOLLIN);
  });
  CHECK_EXIT(child, 0);
  CHECK_EQ(count(epoll), 0);  // what only the child had open has ended with it
}
TEST(every_error) {
  int epoll = make_epoll();
  Pipe p;
  epoll_event event = {};
  CHECK_ERR(syscall(SYS_epoll_create1, 1), EINVAL);
#ifdef SYS_epoll_create
  CHECK_ERR(syscall(SYS_epoll_create, 0), EINVAL);
  CHECK_ERR(syscall(SYS_epoll_create, -1), EINVAL);
  close(int(CHECK_OK(syscall(SYS_epoll_create, 1))));
#endif
  CHECK_ERR(control(999, EPOLL_CTL_ADD, p.in, EPOLLIN, 0), EBADF);
  CHECK_ERR(control(epoll, EPOLL_CTL_ADD, 999, EPOLLIN, 0), EBADF);
  CHECK_ERR(control(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN, 0), EINVAL);
  CHECK_ERR(control(p.in, EPOLL_CTL_ADD, p.out, EPOLLIN, 0), EINVAL);
  CHECK_ERR(control(epoll, 4, p.in, EPOLLIN, 0), EINVAL);
  CHECK_ERR(control(epoll, 0, p.in, EPOLLIN, 0), EINVAL);
  CHECK_ERR(epoll_ctl(epoll, EPOLL_CTL_ADD, p.in, nullptr), EFAULT);
  CHECK_ERR(epoll_ctl(epoll, EPOLL_CTL_ADD, 999, nullptr), EFAULT);
  CHECK_ERR(epoll_ctl(epoll, 77, p.in, nullptr), EFAULT);
  int file = make_file("f"), directory = int(CHECK_OK(open(".", O_RDONLY))), null = int(CHECK_OK(open("/dev/null", O_RDWR)));
  for (int fd : {file, directory, null}) {
    CHECK_ERR(control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, 0), EPERM);
    CHECK_ERR(control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN, 0), EPERM);
    CHECK_ERR(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr), EPERM);
    CHECK_ERR(control(fd, EPOLL_CTL_ADD, fd, EPOLLIN, 0), EPERM);
  }
  int place = int(CHECK_OK(open("f", O_PATH)));
  CHECK_ERR(control(epoll, EPOLL_CTL_ADD, place, EPOLLIN, 0), EBADF);
  for (int most : {0, -1, INT_MIN, INT_MAX}) CHECK_ERR(epoll_wait(epoll, &event, most, 0), EINVAL);
  CHECK_ERR(epoll_wait(999, &event, 1, 0), EBADF);
  CHECK_ERR(epoll_wait(p.in, &event, 1, 0), EINVAL);
  volatile uintptr_t nowhere = 8;
  CHECK_EQ(epoll_wait(epoll, (epoll_event*)nowhere, 1, 0), 0);  // nobody looks before there is something
  add(epoll, p.in, EPOLLIN);
  p.put();
  CHECK_ERR(epoll_wait(epoll, (epoll_event*)nowhere, 1, 0), EFAULT);
  CHECK_EQ(event_of(epoll, p.in), EPOLLIN);  // nothing was lost by it
  char byte;
  CHECK_ERR(read(epoll, &byte, 1), EINVAL);
  CHECK_ERR(write(epoll, "x", 1), EINVAL);
}
TEST(events_up_to_a_bad_page_are_told) {
  int epoll = make_epoll();
  Pipe p[4];
  for (Pipe& one : p) {
    add(epoll, one.in, EPOLLIN | EPOLLET);
    one.put();
  }
  char* pages = map_pages(2);
  CHECK_OK(munmap(pages + kPage, kPage));
  auto* events = (epoll_event*)(pages + kPage - 2 * sizeof(epoll_event));
  CHECK_EQ(epoll_wait(epoll, events, 4, 0), 2);
  CHECK_EQ(count(epoll), 2);
  CHECK_EQ(count(epoll), 0);
}
TEST(exclusive_watches_have_rules_of_their_own) {
  int epoll = make_epoll(), inner = make_epoll();
  Pipe p;
  CHECK_ERR(control(epoll, EPOLL_CTL_ADD, p.in, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 0), EINVAL);
  CHECK_ERR(control(epoll, EPOLL_CTL_ADD, p.in, EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP, 0), EINVAL);
  CHECK_ERR(control(epoll, EPOLL_CTL_ADD, inner, EPOLLIN | EPOLLEXCLUSIVE, 0), EINVAL);
  add(epoll, p.in, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET | EPOLLWAKEUP);
  CHECK_ERR(control(epoll, EPOLL_CTL_MOD, p.in, EPOLLIN | EPOLLEXCLUSIVE, 0), EINVAL);
  CHECK_ERR(control(epoll, EPOLL_CTL_MOD, p.in, EPOLLIN, 0), EINVAL);
  p.put();
  CHECK_EQ(event_of(epoll, p.in), EPOLLIN);
  CHECK_EQ(count(epoll), 0);
  drop(epoll, p.in);
}

// ---------------------------------------------------------------- instances in instances

TEST(an_instance_is_readable_when_something_in_it_is) {
  int inner = make_epoll(), middle = make_epoll(), outer = make_epoll();
  Pipe p;
  add(outer, middle, EPOLLIN);
  add(middle, inner, EPOLLIN);
  add(inner, p.in, EPOLLIN);
  CHECK(!is_readable(outer) && !is_readable(inner));
  p.put();
  CHECK(is_readable(outer) && is_readable(middle) && is_readable(inner));
  CHECK_EQ(event_of(outer, middle), EPOLLIN);
  CHECK_EQ(event_of(inner, p.in), EPOLLIN);
  CHECK_EQ(event_of(outer, middle), EPOLLIN);  // by level
  p.take();
  CHECK(!is_readable(outer));
  CHECK_EQ(count(outer), 0);
  change(outer, middle, EPOLLIN | EPOLLET);
  p.put();
  CHECK_EQ(event_of(outer, middle), EPOLLIN);
  CHECK_EQ(count(outer), 0);
  p.put();  // the inner one was ready and is: that is an edge nevertheless
  CHECK_EQ(event_of(outer, middle), EPOLLIN);
  close(inner);
  CHECK(!is_readable(middle) && !is_readable(outer));
  close(middle);
  CHECK_EQ(count(outer), 0);
}
TEST(no_circles_and_not_too_deep) {
  int e[12];
  for (int& fd : e) fd = make_epoll();
  add(e[0], e[1], EPOLLIN);
  CHECK_ERR(control(e[1], EPOLL_CTL_ADD, e[0], EPOLLIN, 0), ELOOP);
  add(e[1], e[2], EPOLLIN);
  CHECK_ERR(control(e[2], EPOLL_CTL_ADD, e[0], EPOLLIN, 0), ELOOP);
  add(e[0], e[2], EPOLLIN);  // two ways are no circle
  drop(e[0], e[1]);
  drop(e[0], e[2]);
  add(e[2], e[0], EPOLLIN);
  drop(e[2], e[0]);
  drop(e[1], e[2]);
  // The limit has varied, but there is one, from above and from below.
  int depth = 1;
  while (depth < 12 && control(e[depth], EPOLL_CTL_ADD, e[depth - 1], EPOLLIN, 0) == 0) depth++;
  CHECK(depth >= 5 && depth < 12);
  CHECK_EQ(errno, ELOOP);
  for (int& fd : e) close(fd), fd = make_epoll();
  depth = 1;
  while (depth < 12 && control(e[depth - 1], EPOLL_CTL_ADD, e[depth], EPOLLIN, 0) == 0) depth++;
  CHECK(depth >= 5);
  if (on_faultline()) CHECK(depth == 5 && errno == ELOOP);
}
TEST(the_ways_of_a_wake_up_are_bounded) {
  rlimit limit = {2000, 2000};
  if (setrlimit(RLIMIT_NOFILE, &limit)) SKIP("cannot have 2000 descriptors");
  // inner in 501 others, a file in inner: 501 ways of two steps.
  int inner = make_epoll(), one_too_many = -1;
  Pipe p;
  add(inner, p.in, EPOLLIN);
  for (int i = 0; i < 501; i++) {
    int outer = make_epoll();
    if (control(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 0) == 0) continue;
    CHECK_EQ(errno, EINVAL);
    one_too_many = i;
    close(outer);
    break;
  }
  CHECK_EQ(one_too_many, 500);
  p.put();
  CHECK(is_readable(inner));
  // Without the file there is no limit; then the file is refused.
  drop(inner, p.in);
  int outer = make_epoll();
  CHECK_OK(control(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 0));
  CHECK_ERR(control(inner, EPOLL_CTL_ADD, p.in, EPOLLIN, 0), EINVAL);
  close(outer);
  add(inner, p.in, EPOLLIN);
  // Instances that are in none may be any number.
  for (int i = 0; i < 600; i++) CHECK_OK(control(make_epoll(), EPOLL_CTL_ADD, p.out, EPOLLOUT, 0));
}

// ---------------------------------------------------------------- waiting

TEST(waiting_ends_with_an_event_the_time_or_a_signal) {
  int epoll = make_epoll();
  Pipe p;
  add(epoll, p.in, EPOLLIN);
  timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  CHECK_EQ(count(epoll, 1, 20), 0);
  clock_gettime(CLOCK_MONOTONIC, &after);
  CHECK((after.tv_sec - before.tv_sec) * 1000000000ll + after.tv_nsec - before.tv_nsec >= 20000000);
  pid_t me = getpid();
  pid_t child = in_child([&] {
    wait_state(me, "S");
    p.put();
  });
  CHECK_EQ(event_of(epoll, p.in, -1), EPOLLIN);
  CHECK_EXIT(child, 0);
  p.take();
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;  // does not help
  sigaction(SIGUSR1, &action, nullptr);
  child = in_child([&] {
    wait_state(me, "S");
    kill(me, SIGUSR1);
  });
  epoll_event event;
  CHECK_ERR(epoll_wait(epoll, &event, 1, -1), EINTR);
  CHECK_EXIT(child, 0);
}
static volatile int g_handled;
TEST(the_mask_of_epoll_pwait_is_atomic) {
  int epoll = make_epoll();
  struct sigaction action = {};
  action.sa_handler = [](int) { g_handled = g_handled + 1; };
  sigaction(SIGUSR1, &action, nullptr);
  sigset_t set, none;
  sigemptyset(&none);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  raise(SIGUSR1);
  epoll_event event;
  CHECK_ERR(epoll_pwait(epoll, &event, 1, 100000, &none), EINTR);
  CHECK_EQ(g_handled, 1);
  sigset_t now;
  sigprocmask(SIG_BLOCK, nullptr, &now);
  CHECK(sigismember(&now, SIGUSR1));
  raise(SIGUSR1);
  CHECK_EQ(epoll_pwait(epoll, &event, 1, 0, &set), 0);
  CHECK_EQ(g_handled, 1);
  CHECK_ERR(syscall(SYS_epoll_pwait, epoll, &event, 1, 0, &set, 4), EINVAL);
}
TEST(epoll_pwait2_takes_nanoseconds) {
  int epoll = make_epoll();
  Pipe p;
  add(epoll, p.in, EPOLLIN);
  struct {
    int64_t seconds, nanoseconds;
  } time = {0, 1000000};
  epoll_event event;
  auto call = [&](void* t) { return syscall(441, epoll, &event, 1, t, nullptr, 8); };
  CHECK_EQ(call(&time), 0);
  time = {0, 1000000000};
  CHECK_ERR(call(&time), EINVAL);
  time = {-1, 0};
  CHECK_ERR(call(&time), EINVAL);
  CHECK_ERR(call((void*)8), EFAULT);
  p.put();
  CHECK_EQ(call(nullptr), 1);
}

struct Waiter {
  pthread_t thread;
  int epoll, most = 1, timeout = -1, found = -1;
  volatile int tid = 0;
  epoll_event events[8];
  explicit Waiter(int fd) : epoll(fd) {}
  void start() {
    CHECK_EQ(pthread_create(&thread, nullptr, &run, this), 0);
    while (tid == 0) sched_yield();
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    while (state != 'S') {  // sleeps
      char text[256] = "";
      int fd = open(path, O_RDONLY);
      if (fd < 0) break;
      CHECK(read(fd, text, sizeof text - 1) > 0);
      close(fd);
      state = strrchr(text, ')')[2];
    }
  }
  void join() { CHECK_EQ(pthread_join(thread, nullptr), 0); }
  static void* run(void* self) {
    auto& w = *(Waiter*)self;
    w.tid = int(syscall(SYS_gettid));
    w.found = epoll_wait(w.epoll, w.events, w.most, w.timeout);
    return nullptr;
  }
};
TEST(an_edge_wakes_one_of_several_who_wait) {
  int epoll = make_epoll(), stop = int(CHECK_OK(eventfd(0, 0)));
  Pipe p;
  add(epoll, p.in, EPOLLIN | EPOLLET);
  Waiter a(epoll), b(epoll);
  a.start();
  b.start();
  p.put();
  while (a.found < 0 && b.found < 0) pause_a_little();
  pause_a_little();
  CHECK((a.found < 0) != (b.found < 0));
  // By level, everybody: each finds it so.
  uint64_t one = 1;
  CHECK_EQ(write(stop, &one, 8), 8);
  add(epoll, stop, EPOLLIN);
  a.join();
  b.join();
  CHECK(a.found == 1 && b.found == 1);
}
TEST(a_level_wakes_everybody_who_waits) {
  int epoll = make_epoll();
  Pipe p;
  add(epoll, p.in, EPOLLIN);
  Waiter a(epoll), b(epoll), c(epoll);
  a.start();
  b.start();
  c.start();
  p.put();
  a.join();
  b.join();
  c.join();
}
TEST(an_exclusive_event_wakes_one_instance) {
  int one = make_epoll(), other = make_epoll();
  Pipe p;
  add(one, p.in, EPOLLIN | EPOLLEXCLUSIVE);
  add(other, p.in, EPOLLIN | EPOLLEXCLUSIVE);
  Waiter a(one), b(other);
  a.timeout = b.timeout = 300;
  a.start();
  b.start();
  p.put();
  a.join();
  b.join();
  CHECK(a.found + b.found >= 1);  // what Linux promises
  if (on_faultline()) CHECK_EQ(a.found + b.found, 1);
  // Nobody waits in the first any more, so its turn is the second's.
  p.take();
  CHECK(count(one) == 0 && count(other) == 0);
  Waiter c(other);
  c.start();
  p.put();
  c.join();
  CHECK_EQ(c.found, 1);
}
TEST(who_waits_keeps_an_instance_that_is_closed) {
  int epoll = make_epoll(), duplicate;
  Pipe p;
  add(epoll, p.in, EPOLLIN);
  duplicate = int(CHECK_OK(dup(epoll)));
  Waiter a(epoll);
  a.start();
  close(epoll);
  p.put();
  a.join();
  CHECK_EQ(a.found, 1);
  CHECK_EQ(event_of(duplicate, p.in), EPOLLIN);
  // A file that ends while somebody waits for it is never told; the others are.
  p.take();
  Pipe other;
  add(duplicate, other.in, EPOLLIN);
  Waiter b(duplicate);
  b.most = 8;
  b.start();
  close(p.in);
  close(p.out);
  other.put();
  b.join();
  CHECK_EQ(b.found, 1);
  CHECK_EQ(b.events[0].data.u64 >> 32, other.in);
}
TEST(what_is_added_while_somebody_waits_wakes_them) {
  int epoll = make_epoll();
  Pipe p;
  p.put();
  Waiter a(epoll);
  a.start();
  add(epoll, p.in, EPOLLIN | EPOLLONESHOT);
  a.join();
  CHECK_EQ(a.found, 1);
  Waiter b(epoll);
  b.start();
  change(epoll, p.in, EPOLLIN | EPOLLONESHOT);
  b.join();
  CHECK_EQ(b.found, 1);
}
TEST(poll_and_select_wait_for_an_instance) {
  int inner = make_epoll(), epoll = make_epoll();
  Pipe p;
  add(inner, p.in, EPOLLIN);
  add(epoll, inner, EPOLLIN);
  pid_t me = getpid();
  pid_t child = in_child([&] {
    wait_state(me, "S");
    p.put();
  });
  pollfd entry = {epoll, POLLIN, 0};
  CHECK_EQ(poll(&entry, 1, -1), 1);
  CHECK_EXIT(child, 0);
}

// ---------------------------------------------------------------- kinds of files

TEST(eventfd_timerfd_and_terminals) {
  int epoll = make_epoll();
  int event = int(CHECK_OK(eventfd(0, EFD_NONBLOCK)));
  add(epoll, event, EPOLLIN | EPOLLET);
  uint64_t number = 3;
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(write(event, &number, 8), 8);
    CHECK_EQ(event_of(epoll, event), EPOLLIN);
    CHECK_EQ(count(epoll), 0);
  }
  change(epoll, event, EPOLLOUT);
  CHECK_EQ(event_of(epoll, event), EPOLLOUT);
  drop(epoll, event);
  int timer = int(CHECK_OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)));
  add(epoll, timer, EPOLLIN);
  itimerspec soon = {{}, {0, 1000000}};
  CHECK_EQ(count(epoll), 0);
  CHECK_OK(timerfd_settime(timer, 0, &soon, nullptr));
  CHECK_EQ(event_of(epoll, timer, -1), EPOLLIN);
  CHECK_EQ(read(timer, &number, 8), 8);
  CHECK_EQ(count(epoll), 0);
  drop(epoll, timer);
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), zero = 0, pts;
  if (master < 0) return;
  CHECK_OK(ioctl(master, TIOCSPTLCK, &zero));
  CHECK_OK(ioctl(master, TIOCGPTN, &pts));
  char name[32];
  snprintf(name, sizeof name, "/dev/pts/%d", pts);
  int slave = int(CHECK_OK(open(name, O_RDWR | O_NOCTTY)));
  add(epoll, slave, EPOLLIN);
  add(epoll, master, EPOLLIN);
  CHECK_EQ(write(slave, "out", 3), 3);
  CHECK_EQ(event_of(epoll, master, -1), EPOLLIN);  // some time may pass between the two sides
  char text[16];
  CHECK_EQ(read(master, text, 16), 3);
  CHECK_EQ(write(master, "in", 2), 2);
  CHECK_EQ(event_of(epoll, master, -1), EPOLLIN);
  CHECK_EQ(read(master, text, 16), 2);  // the echo
  CHECK_EQ(count(epoll), 0);            // no line yet
  CHECK_EQ(write(master, "\n", 1), 1);
  drop(epoll, master);
  CHECK_EQ(event_of(epoll, slave, -1), EPOLLIN);
  close(master);
  uint32_t end = event_of(epoll, slave, -1);
  CHECK((end & (EPOLLIN | EPOLLHUP)) == (EPOLLIN | EPOLLHUP));
}
TEST(fdinfo_tells_what_is_watched) {
  int epoll = make_epoll();
  Pipe p;
  add(epoll, p.in, EPOLLIN | EPOLLET);
  char path[40], text[1000] = "", expected[100];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll);
  int fd = int(CHECK_OK(open(path, O_RDONLY)));
  CHECK(read(fd, text, sizeof text - 1) > 0);
  snprintf(expected, sizeof expected, "tfd: %8d events: %8x data: %16llx  pos:0 ino:", p.in, EPOLLIN | EPOLLET | EPOLLERR | EPOLLHUP,
           (unsigned long long)p.in << 32 | 7);
  CHECK(strstr(text, expected));
  close(fd);
  char link[64] = "";
  snprintf(path, sizeof path, "/proc/self/fd/%d", epoll);
  CHECK(readlink(path, link, sizeof link - 1) > 0);
  CHECK_STR(link, "anon_inode:[eventpoll]");
}
TEST(a_user_watches_no_more_than_is_allowed) {
  const char* setting = "/proc/sys/fs/epoll/max_user_watches";
  int fd = open(setting, O_RDWR);
  if (fd < 0 || !on_faultline()) SKIP("not to be changed on a machine that is in use");
  char before[20] = "";
  CHECK(pread(fd, before, sizeof before - 1, 0) > 0);
  CHECK(atol(before) >= 1000);
  CHECK_EQ(write(fd, "3", 1), 1);
  int epoll = make_epoll(), other = make_epoll();
  Pipe p;
  add(epoll, p.in, EPOLLIN);
  add(epoll, p.out, EPOLLOUT);
  add(other, p.in, EPOLLIN);
  CHECK_ERR(control(other, EPOLL_CTL_ADD, p.out, EPOLLIN, 0), ENOSPC);
  pid_t child = in_child([&] {
    CHECK_OK(setuid(1000));
    add(make_epoll(), p.in, EPOLLIN);                                     // has its own
    CHECK_ERR(control(other, EPOLL_CTL_ADD, p.out, EPOLLIN, 0), ENOSPC);  // who made the instance counts
  });
  CHECK_EXIT(child, 0);
  drop(epoll, p.in);
  CHECK_OK(control(other, EPOLL_CTL_ADD, p.out, EPOLLIN, 0));
  CHECK_EQ(pwrite(fd, before, strlen(before), 0), ssize_t(strlen(before)));
}
TEST(thousands_of_watches_and_the_few_that_are_ready) {
  int n = scale(3000), epoll = make_epoll();
  rlimit limit = {rlim_t(n + 100), rlim_t(n + 100)};
  if (setrlimit(RLIMIT_NOFILE, &limit)) SKIP("cannot have that many descriptors");
  Pipe p, q;
  for (int i = 0; i < n; i++) CHECK_OK(control(epoll, EPOLL_CTL_ADD, int(CHECK_OK(dup(p.in))), EPOLLIN, uint64_t(i)));
  add(epoll, q.in, EPOLLIN);
  q.put();
  CHECK_EQ(event_of(epoll, q.in), EPOLLIN);
  p.put();
  CHECK_EQ(count(epoll), 16);
  close(epoll);
}
TEST(every_allocation_may_fail) {
  if (access("/proc/self/fail-nth", W_OK)) SKIP("no /proc/self/fail-nth");
  Injection injection;
  Pipe p;
  p.put();
  int inner = make_epoll();
  auto calls = [&] {
    int epoll = epoll_create1(0);
    if (epoll < 0) return errno;
    int error = control(epoll, EPOLL_CTL_ADD, p.in, EPOLLIN, 1) || control(epoll, EPOLL_CTL_ADD, inner, EPOLLIN, 2) ? errno : 0;
    epoll_event events[2];
    if (!error && epoll_wait(epoll, events, 2, 0) != 1) error = 1000;
    close(epoll);
    return error;
  };
  CHECK_EQ(calls(), 0);
  for (int nth = 1;; nth++) {
    injection.arm(nth, 1);
    int error = calls();
    bool failed = injection.left() == 0;
    injection.disarm();
    CHECK(error == 0 || error == ENOMEM);
    CHECK_EQ(error == ENOMEM, failed);
    if (!failed) break;
    CHECK(nth < kForEver);
  }
}
