// signalfd(2): signals that are read, what they tell, and whose they are.
#include "user/tests/harness.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

namespace {

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : signals) sigaddset(&set, signal);
  return set;
}
// A file for these, which are blocked from now on.
int make_signalfd(std::initializer_list<int> signals, int flags = SFD_NONBLOCK) {
  sigset_t set = set_of(signals);
  CHECK_OK(sigprocmask(SIG_BLOCK, &set, nullptr));
  return int(CHECK_OK(signalfd(-1, &set, flags)));
}
signalfd_siginfo take(int fd) {
  signalfd_siginfo info;
  memset(&info, 0xee, sizeof info);
  CHECK_EQ(read(fd, &info, sizeof info), sizeof info);
  return info;
}
bool is_readable(int fd) {
  pollfd p = {fd, POLLIN | POLLOUT, 0};
  CHECK_OK(poll(&p, 1, 0));
  return p.revents == POLLIN;
}

}  // namespace

TEST(what_is_read_was_sent) {
  int fd = make_signalfd({SIGUSR1, SIGUSR2, SIGRTMIN});
  char small[64];
  signalfd_siginfo info[4];
  CHECK(!is_readable(fd));
  CHECK_ERR(read(fd, info, sizeof info), EAGAIN);
  CHECK_OK(kill(getpid(), SIGUSR1));
  CHECK(is_readable(fd));
  CHECK_ERR(read(fd, small, sizeof small), EINVAL);
  info[0] = take(fd);
  CHECK(info[0].ssi_signo == SIGUSR1 && info[0].ssi_code == SI_USER && info[0].ssi_pid == unsigned(getpid()));
  CHECK(info[0].ssi_uid == getuid() && info[0].ssi_errno == 0 && info[0].ssi_int == 0 && info[0].ssi_status == 0);
  for (unsigned char byte : info[0].__pad) CHECK_EQ(byte, 0);
  CHECK(!is_readable(fd));
  CHECK_OK(raise(SIGUSR2));
  info[0] = take(fd);
  CHECK(info[0].ssi_signo == SIGUSR2 && info[0].ssi_code == SI_TKILL && info[0].ssi_pid == unsigned(getpid()));
  sigval value;
  value.sival_ptr = (void*)0x12345678;
  for (int i = 0; i < 3; i++) CHECK_OK(sigqueue(getpid(), SIGRTMIN, value));
  CHECK_OK(kill(getpid(), SIGUSR1));
  CHECK_OK(kill(getpid(), SIGUSR1));                                   // once only
  CHECK_EQ(read(fd, info, 3 * sizeof *info + 100), 3 * sizeof *info);  // whole ones
  CHECK(info[0].ssi_signo == SIGUSR1 && info[1].ssi_signo == unsigned(SIGRTMIN) && info[2].ssi_signo == unsigned(SIGRTMIN));
  CHECK(info[1].ssi_code == SI_QUEUE && info[1].ssi_int == 0x12345678 && info[1].ssi_ptr == 0x12345678);
  CHECK_EQ(read(fd, info, sizeof info), sizeof *info);
  CHECK_ERR(read(fd, info, sizeof info), EAGAIN);
  CHECK_ERR(write(fd, info, sizeof info), EINVAL);
}
TEST(of_children_and_timers) {
  int fd = make_signalfd({SIGCHLD, SIGRTMIN + 1}, 0);
  pid_t child = in_child([] { _exit(42); });
  signalfd_siginfo info = take(fd);
  CHECK(info.ssi_signo == SIGCHLD && info.ssi_code == CLD_EXITED && info.ssi_pid == unsigned(child) && info.ssi_status == 42);
  CHECK_EXIT(child, 42);
  timer_t timer;
  sigevent event = {};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGRTMIN + 1;
  event.sigev_value.sival_int = 77;
  CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  itimerspec soon = {{}, {0, 1000000}};
  CHECK_OK(timer_settime(timer, 0, &soon, nullptr));
  info = take(fd);
  CHECK(info.ssi_signo == unsigned(SIGRTMIN + 1) && info.ssi_code == SI_TIMER && info.ssi_int == 77 && info.ssi_overrun == 0);
}
TEST(the_set_can_be_changed_and_every_error) {
  int fd = make_signalfd({SIGUSR1});
  sigset_t set = set_of({SIGUSR2, SIGKILL, SIGSTOP});
  sigprocmask(SIG_BLOCK, &set, nullptr);
  CHECK_OK(raise(SIGUSR2));
  CHECK(!is_readable(fd));
  CHECK_EQ(signalfd(fd, &set, 0), fd);
  CHECK(is_readable(fd));
  CHECK_EQ(take(fd).ssi_signo, SIGUSR2);
  CHECK_OK(raise(SIGUSR1));
  CHECK(!is_readable(fd));
  int fds[2];
  CHECK_OK(pipe(fds));
  CHECK_ERR(signalfd(fds[0], &set, 0), EINVAL);
  CHECK_ERR(signalfd(999, &set, 0), EBADF);
  CHECK_ERR(signalfd(-1, &set, 1), EINVAL);
  CHECK_ERR(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
  CHECK_ERR(syscall(SYS_signalfd4, -1, (void*)8, 8, 0), EFAULT);
  CHECK_EQ(fcntl(int(CHECK_OK(signalfd(-1, &set, SFD_CLOEXEC))), F_GETFD), FD_CLOEXEC);
  char path[40], text[300] = "";
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  int info = int(CHECK_OK(open(path, O_RDONLY)));
  CHECK(read(info, text, sizeof text - 1) > 0);
  CHECK(strstr(text, "sigmask:\t0000000000000800\n"));
}
TEST(a_reader_sleeps_until_one_comes) {
  int fd = make_signalfd({SIGUSR1}, 0);
  pid_t me = getpid();
  pid_t child = in_child([&] {
    wait_state(me, "S");
    kill(me, SIGUSR1);
  });
  CHECK_EQ(take(fd).ssi_pid, child);
  CHECK_EXIT(child, 0);
  child = in_child([&] {
    wait_state(me, "S");
    kill(me, SIGUSR1);
  });
  pollfd p = {fd, POLLIN, 0};
  CHECK_EQ(poll(&p, 1, -1), 1);
  CHECK_EQ(take(fd).ssi_pid, child);
  CHECK_EXIT(child, 0);
  // Another signal ends the sleep.
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR2, &action, nullptr);
  child = in_child([&] {
    wait_state(me, "S");
    kill(me, SIGUSR2);
  });
  signalfd_siginfo info;
  CHECK_ERR(read(fd, &info, sizeof info), EINTR);
  CHECK_EXIT(child, 0);
}
TEST(they_are_the_readers_not_the_makers) {
  int fd = make_signalfd({SIGUSR1});
  CHECK_OK(raise(SIGUSR1));
  pid_t child = in_child([&] {
    CHECK(!is_readable(fd));
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(take(fd).ssi_pid, getpid());
    CHECK(!is_readable(fd));
  });
  CHECK_EXIT(child, 0);
  CHECK_EQ(take(fd).ssi_pid, getpid());
  // A thread's own are not another's.
  pthread_t thread;
  auto run = [](void* file) -> void* {
    CHECK_EQ(pthread_kill(pthread_self(), SIGUSR1), 0);
    CHECK(is_readable(*(int*)file));
    Gate gate;
    pthread_t other;
    CHECK_EQ(pthread_create(
                 &other, nullptr,
                 [](void* f) -> void* {
                   CHECK(!is_readable(*(int*)f));
                   return nullptr;
                 },
                 file),
             0);
    CHECK_EQ(pthread_join(other, nullptr), 0);
    CHECK_EQ(take(*(int*)file).ssi_signo, SIGUSR1);
    return nullptr;
  };
  CHECK_EQ(pthread_create(&thread, nullptr, run, &fd), 0);
  CHECK_EQ(pthread_join(thread, nullptr), 0);
}
TEST(epoll_tells_of_them) {
  int fd = make_signalfd({SIGUSR1, SIGUSR2}), epoll = int(CHECK_OK(epoll_create1(0)));
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
  CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 0);
  CHECK_OK(raise(SIGUSR1));
  CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
  CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 0);
  CHECK_OK(raise(SIGUSR2));
  CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
  pid_t me = getpid();
  take(fd);
  take(fd);
  pid_t child = in_child([&] {
    wait_state(me, "S");
    kill(me, SIGUSR1);
  });
  CHECK_EQ(epoll_wait(epoll, &event, 1, -1), 1);
  CHECK_EXIT(child, 0);
  close(fd);
  // The process that watched is gone, the instance and the file are not.
  int gate[2];
  CHECK_OK(pipe(gate));
  child = in_child([&] {
    int own = make_signalfd({SIGUSR1});
    epoll_event e = {};
    e.events = EPOLLIN;
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, own, &e));
    pid_t grandchild = fork();
    if (grandchild == 0) {
      char byte;
      CHECK_EQ(read(gate[0], &byte, 1), 1);  // keeps the file open
      _exit(0);
    }
    _exit(3);
  });
  CHECK_EXIT(child, 3);
  CHECK(epoll_wait(epoll, &event, 1, 0) >= 0);  // whose signals those are, nobody says; but nothing breaks
  CHECK_OK(raise(SIGUSR2));
  CHECK(epoll_wait(epoll, &event, 1, 0) >= 0);
  CHECK_EQ(write(gate[1], "x", 1), 1);
}
TEST(what_is_ignored_is_not_told_unless_it_is_blocked) {
  int fd = make_signalfd({SIGUSR1, SIGCHLD});
  signal(SIGUSR1, SIG_IGN);
  CHECK_OK(raise(SIGUSR1));
  CHECK_EQ(take(fd).ssi_signo, SIGUSR1);
  sigset_t set = set_of({SIGUSR1});
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  CHECK_OK(raise(SIGUSR1));
  CHECK(!is_readable(fd));
}
