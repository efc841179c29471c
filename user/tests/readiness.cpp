// poll, select and their variants, on pipes, files and FIFOs.
#include "user/tests/harness.h"
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
