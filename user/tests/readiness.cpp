// poll, select and their variants, on pipes, files and FIFOs.
#include "user/tests/harness.h"
#include <sys/epoll.h>
#include <sys/select.h>

static int events(int fd, int wanted, int timeout = 0) {
  pollfd p = {fd, short(wanted), 0};
  CHECK_OK(poll(&p, 1, timeout));
  return p.revents;
}
static void make_pipe(int fd[2]) { CHECK_OK(pipe(fd)); }

TEST(a_pipes_ends) {
  int fd[2];
  char block[4096] = {};
  make_pipe(fd);
  CHECK_EQ(events(fd[0], POLLIN | POLLOUT), 0);
  CHECK_EQ(events(fd[1], POLLIN | POLLOUT), POLLOUT);
  CHECK_EQ(write(fd[1], "x", 1), 1);
  CHECK_EQ(events(fd[0], POLLIN), POLLIN);
  CHECK_EQ(events(fd[0], 0), 0);
  fcntl(fd[1], F_SETFL, O_NONBLOCK);
  while (write(fd[1], block, sizeof block) > 0) {
  }
  CHECK_EQ(events(fd[1], POLLOUT), 0);
  while (read(fd[0], block, sizeof block) == sizeof block) {
  }
  CHECK_EQ(events(fd[1], POLLOUT), POLLOUT);
  close(fd[1]);
  CHECK_EQ(events(fd[0], POLLIN) & POLLHUP, POLLHUP);
  make_pipe(fd);
  CHECK_EQ(write(fd[1], "y", 1), 1);
  close(fd[1]);
  CHECK_EQ(events(fd[0], POLLIN), POLLIN | POLLHUP);
  make_pipe(fd);
  close(fd[0]);
  CHECK_EQ(events(fd[1], POLLOUT) & POLLERR, POLLERR);
}
TEST(other_descriptors) {
  int file = make_file("f", "abc", 3);
  CHECK_EQ(events(file, POLLIN | POLLOUT), POLLIN | POLLOUT);
  CHECK_EQ(events(999, POLLIN), POLLNVAL);
  CHECK_EQ(events(-1, POLLIN), 0);
  int null = CHECK_OK(open("/dev/null", O_RDWR));
  CHECK_EQ(events(null, POLLIN | POLLOUT), POLLIN | POLLOUT);
  pollfd p[3] = {{file, POLLIN, 0}, {-5, POLLIN, 7}, {999, POLLIN, 0}};
  CHECK_EQ(poll(p, 3, -1), 2);
  CHECK(p[0].revents == POLLIN && p[1].revents == 0 && p[2].revents == POLLNVAL);
  CHECK_OK(mkfifo("fifo", 0600));
  int r = CHECK_OK(open("fifo", O_RDONLY | O_NONBLOCK));
  CHECK_EQ(events(r, POLLIN), 0);
  int w = CHECK_OK(open("fifo", O_WRONLY));
  CHECK_EQ(write(w, "z", 1), 1);
  CHECK_EQ(events(r, POLLIN), POLLIN);
}
TEST(waiting_ends_when_something_happens) {
  int fd[2];
  make_pipe(fd);
  pid_t me = getpid();
  auto later = [&](auto action) {
    return in_child([&, action] {
      wait_state(me, "S");
      action();
    });
  };
  pid_t child = later([&] { CHECK_EQ(write(fd[1], "x", 1), 1); });
  CHECK_EQ(events(fd[0], POLLIN, -1), POLLIN);
  CHECK_EXIT(child, 0);
  char c;
  CHECK_EQ(read(fd[0], &c, 1), 1);
  child = later([&] { CHECK_EQ(write(fd[1], "x", 1), 1); });
  close(fd[1]);
  CHECK(events(fd[0], POLLIN, 100000) & POLLIN);
  CHECK_EXIT(child, 0);
  CHECK_EQ(read(fd[0], &c, 1), 1);
  make_pipe(fd);
  child = in_child([&] {
    close(fd[0]);
    wait_state(me, "S");
  });  // its end is the last writer's
  close(fd[1]);
  CHECK_EQ(events(fd[0], POLLIN, -1), POLLHUP);
  CHECK_EXIT(child, 0);
}
TEST(select_sets) {
  int a[2], b[2];
  make_pipe(a);
  make_pipe(b);
  CHECK_EQ(write(b[1], "x", 1), 1);
  fd_set in, out, except;
  FD_ZERO(&in);
  FD_ZERO(&out);
  FD_ZERO(&except);
  FD_SET(a[0], &in);
  FD_SET(b[0], &in);
  FD_SET(a[1], &out);
  FD_SET(a[0], &except);
  int top = b[1] + 1;
  timeval zero = {};
  CHECK_EQ(select(top, &in, &out, &except, &zero), 2);
  CHECK(!FD_ISSET(a[0], &in) && FD_ISSET(b[0], &in) && FD_ISSET(a[1], &out) && !FD_ISSET(a[0], &except));
  FD_ZERO(&in);
  FD_SET(a[0], &in);
  timeval soon = {0, 10000};
  CHECK_EQ(select(top, &in, nullptr, nullptr, &soon), 0);
  CHECK(!FD_ISSET(a[0], &in));
  CHECK(soon.tv_sec == 0 && soon.tv_usec == 0);  // Linux tells the time that is left
  close(a[1]);
  FD_SET(a[0], &in);
  CHECK_EQ(select(top, &in, nullptr, nullptr, nullptr), 1);  // end of file is readable
  FD_SET(200, &in);
  CHECK_ERR(select(201, &in, nullptr, nullptr, &zero), EBADF);
  CHECK_ERR(select(-1, nullptr, nullptr, nullptr, &zero), EINVAL);
  timeval bad = {-1, 0};
  CHECK_ERR(select(0, nullptr, nullptr, nullptr, &bad), EINVAL);
}
TEST(many_descriptors) {
  rlimit limit = {2000, 2000};
  if (setrlimit(RLIMIT_NOFILE, &limit)) SKIP("cannot have 2000 descriptors");
  static pollfd p[1000];
  int fd[2];
  make_pipe(fd);
  for (int i = 0; i < 1000; i++) p[i] = {i == 0 ? fd[0] : int(CHECK_OK(dup(fd[0]))), POLLIN, 0};
  CHECK_EQ(poll(p, 1000, 0), 0);
  CHECK_EQ(write(fd[1], "x", 1), 1);
  CHECK_EQ(poll(p, 1000, -1), 1000);
  limit = {1100, 2000};
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
  CHECK_ERR(syscall(SYS_poll, p, 1101, 0), EINVAL);
}
static volatile int g_handled;
TEST(the_masks_of_ppoll_and_pselect_are_atomic) {
  struct sigaction action = {};
  action.sa_handler = [](int) { g_handled = g_handled + 1; };
  sigaction(SIGUSR1, &action, nullptr);
  sigset_t set, none;
  sigemptyset(&none);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  raise(SIGUSR1);
  timespec longer = {1000, 0};
  CHECK_EQ(g_handled, 0);
  CHECK_ERR(ppoll(nullptr, 0, &longer, &none), EINTR);
  CHECK_EQ(g_handled, 1);
  raise(SIGUSR1);
  CHECK_ERR(pselect(0, nullptr, nullptr, nullptr, &longer, &none), EINTR);
  CHECK_EQ(g_handled, 2);
  raise(SIGUSR1);
  sigset_t now;
  sigprocmask(SIG_BLOCK, nullptr, &now);
  CHECK(sigismember(&now, SIGUSR1) && g_handled == 2);
  // While the mask keeps the signal out, what is ready is reported.
  int fd[2];
  make_pipe(fd);
  CHECK_EQ(write(fd[1], "x", 1), 1);
  pollfd p = {fd[0], POLLIN, 0};
  timespec zero = {};
  CHECK_EQ(ppoll(&p, 1, &zero, &set), 1);
  CHECK_EQ(g_handled, 2);
}

// A signal that is kept out but for the wait. A wait that finds something puts the old mask back before it is looked for; one that finds nothing has
// been interrupted by it.
struct SignalKeptOut {
  sigset_t none;
  SignalKeptOut() {
    struct sigaction action = {};
    action.sa_handler = [](int) { g_handled = g_handled + 1; };
    sigaction(SIGUSR1, &action, nullptr);
    sigset_t set;
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    raise(SIGUSR1);
  }
  static bool is_pending() {
    sigset_t pending, mask;
    sigpending(&pending);
    sigprocmask(SIG_BLOCK, nullptr, &mask);
    CHECK(sigismember(&mask, SIGUSR1));
    return sigismember(&pending, SIGUSR1);
  }
};
TEST(a_wait_that_succeeds_lets_no_signal_in) {
  SignalKeptOut signal;
  int fd[2];
  make_pipe(fd);
  CHECK_EQ(write(fd[1], "x", 1), 1);
  timespec longer = {1000, 0};
  pollfd p = {fd[0], POLLIN, 0};
  CHECK_EQ(ppoll(&p, 1, &longer, &signal.none), 1);
  CHECK(g_handled == 0 && SignalKeptOut::is_pending());
  fd_set in;
  FD_ZERO(&in);
  FD_SET(fd[0], &in);
  CHECK_EQ(pselect(fd[0] + 1, &in, nullptr, nullptr, &longer, &signal.none), 1);
  CHECK(g_handled == 0 && SignalKeptOut::is_pending());
  int epoll = CHECK_OK(epoll_create1(0));
  epoll_event event = {EPOLLIN, {}};
  CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd[0], &event));
  CHECK_EQ(epoll_pwait(epoll, &event, 1, -1, &signal.none), 1);
  CHECK(g_handled == 0 && SignalKeptOut::is_pending());
  // An error is no interruption either.
  FD_SET(200, &in);
  CHECK_ERR(pselect(201, &in, nullptr, nullptr, &longer, &signal.none), EBADF);
  CHECK(g_handled == 0 && SignalKeptOut::is_pending());
}
TEST(a_wait_that_finds_nothing_lets_the_signal_in) {
  SignalKeptOut signal;
  int fd[2];
  make_pipe(fd);
  timespec zero = {};
  pollfd p = {fd[0], POLLIN, 0};
  CHECK_ERR(ppoll(&p, 1, &zero, &signal.none), EINTR);
  CHECK(g_handled == 1 && !SignalKeptOut::is_pending());
  raise(SIGUSR1);
  fd_set in;
  FD_ZERO(&in);
  FD_SET(fd[0], &in);
  CHECK_ERR(pselect(fd[0] + 1, &in, nullptr, nullptr, &zero, &signal.none), EINTR);
  CHECK(g_handled == 2 && !SignalKeptOut::is_pending());
  raise(SIGUSR1);
  int epoll = CHECK_OK(epoll_create1(0));
  epoll_event event = {EPOLLIN, {}};
  CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd[0], &event));
  CHECK_EQ(epoll_pwait(epoll, &event, 1, 0, &signal.none), 0);  // this one only looks
  CHECK(g_handled == 2 && SignalKeptOut::is_pending());
  CHECK_ERR(epoll_pwait(epoll, &event, 1, -1, &signal.none), EINTR);
  CHECK(g_handled == 3 && !SignalKeptOut::is_pending());
}
TEST(descriptors_far_apart_and_those_that_are_none) {
  rlimit limit = {5000, 5000};
  if (setrlimit(RLIMIT_NOFILE, &limit)) SKIP("cannot have 5000 descriptors");
  int fd[2];
  make_pipe(fd);
  const int places[] = {fd[0], 31, 32, 1023, 1024, 2047, 4096};
  for (int place : places)
    if (place != fd[0]) CHECK_EQ(dup2(fd[0], place), place);
  pollfd p[16];
  int n = 0;
  for (int place : places) p[n++] = {place, POLLIN, 0}, p[n++] = {place + 100, POLLIN, 0};
  CHECK_EQ(poll(p, n, 0), 7);
  for (int i = 0; i < n; i++) CHECK_EQ(p[i].revents, i % 2 ? POLLNVAL : 0);
  CHECK_EQ(write(fd[1], "x", 1), 1);
  CHECK_EQ(poll(p, n, 0), 14);
  for (int i = 0; i < n; i++) CHECK_EQ(p[i].revents, i % 2 ? POLLNVAL : POLLIN);
  fd_set in;
  FD_ZERO(&in);
  for (int i = 0; i < 4; i++) FD_SET(places[i], &in);
  CHECK_EQ(select(1024, &in, nullptr, nullptr, nullptr), 4);
  // Bits past the end are not looked at, and come back as 0.
  FD_ZERO(&in);
  FD_SET(31, &in);
  FD_SET(40, &in);
  CHECK_EQ(select(40, &in, nullptr, nullptr, nullptr), 1);
  CHECK(FD_ISSET(31, &in) && !FD_ISSET(40, &in));
  int place_only = CHECK_OK(open(".", O_PATH));
  CHECK_EQ(events(place_only, POLLIN | POLLOUT), POLLNVAL);
}
