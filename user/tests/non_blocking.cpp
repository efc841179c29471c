// O_NONBLOCK on every kind of file that a call can wait for: who may not wait is told EAGAIN at once, however the flag was set; who may, waits. The
// same on Linux.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <termios.h>

#include "user/tests/harness.h"

namespace {

// The network starts with the first socket, and stays: not within a test, which would have to give its memory back.
[[maybe_unused]] const int g_network_is_there = close(socket(AF_INET, SOCK_DGRAM, 0));

// A file that has nothing to read, or no room for what is written, or (accept) no connection; and what keeps it so.
struct Subject {
  int fd, other = -1;
};
struct Kind {
  const char* name;
  Subject (*make)();
  long (*call)(int fd);
};

long reads(int fd) {
  char bytes[256];
  return read(fd, bytes, sizeof bytes);
}
long receives(int fd) {
  char bytes[256];
  return recv(fd, bytes, sizeof bytes, 0);
}
long writes(int fd) {
  static char bytes[8192];
  return write(fd, bytes, sizeof bytes);
}
long writes_a_count(int fd) {
  uint64_t count = 1;
  return write(fd, &count, sizeof count);
}
long accepts(int fd) { return accept(fd, nullptr, nullptr); }

Subject pipe_reader() {
  int fd[2];
  CHECK_OK(pipe(fd));
  return {fd[0], fd[1]};
}
void fill(int fd, long (*call)(int)) {
  int flags = fcntl(fd, F_GETFL);
  CHECK_OK(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
  while (call(fd) > 0) {
  }
  CHECK_EQ(errno, EAGAIN);
  CHECK_OK(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK));
}
Subject full_pipe() {
  Subject ends = pipe_reader();
  fill(ends.other, writes);
  return {ends.other, ends.fd};
}
Subject fifo_reader() {
  unlink("fifo");
  CHECK_OK(mkfifo("fifo", 0600));
  int fd = CHECK_OK(open("fifo", O_RDWR));
  return {int(CHECK_OK(open("fifo", O_RDONLY))), fd};
}
Subject empty_event() { return {int(CHECK_OK(eventfd(0, 0)))}; }
Subject full_event() {
  int fd = CHECK_OK(eventfd(0, 0));
  uint64_t most = ~0ull - 1;
  CHECK_EQ(write(fd, &most, sizeof most), sizeof most);
  return {fd};
}
Subject timer() { return {int(CHECK_OK(timerfd_create(CLOCK_MONOTONIC, 0)))}; }
Subject signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  CHECK_OK(sigprocmask(SIG_BLOCK, &set, nullptr));
  return {int(CHECK_OK(signalfd(-1, &set, 0)))};
}
Subject pair_of(int type) {
  int fd[2];
  CHECK_OK(socketpair(AF_UNIX, type, 0, fd));
  return {fd[0], fd[1]};
}
template <int type>
Subject empty_pair() {
  return pair_of(type);
}
template <int type>
Subject full_pair() {
  Subject ends = pair_of(type);
  fill(ends.fd, writes);
  return ends;
}
template <int type>
Subject unix_listener() {
  int fd = CHECK_OK(socket(AF_UNIX, type, 0));
  sockaddr_un nameless = {};
  nameless.sun_family = AF_UNIX;
  CHECK_OK(bind(fd, (sockaddr*)&nameless, sizeof(sa_family_t)));
  CHECK_OK(listen(fd, 1));
  return {fd};
}
int bound_inet(int type, sockaddr_in& at) {
  int fd = CHECK_OK(socket(AF_INET, type, 0));
  socklen_t bytes = sizeof at;
  at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_OK(bind(fd, (sockaddr*)&at, sizeof at));
  CHECK_OK(getsockname(fd, (sockaddr*)&at, &bytes));
  return fd;
}
Subject datagrams() {
  sockaddr_in at;
  return {bound_inet(SOCK_DGRAM, at)};
}
Subject tcp_listener() {
  sockaddr_in at;
  int fd = bound_inet(SOCK_STREAM, at);
  CHECK_OK(listen(fd, 4));
  return {fd};
}
Subject tcp_stream() {
  sockaddr_in at;
  int server = bound_inet(SOCK_STREAM, at);
  CHECK_OK(listen(server, 4));
  int client = CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
  CHECK_OK(connect(client, (sockaddr*)&at, sizeof at));
  int other = CHECK_OK(accept(server, nullptr, nullptr));
  CHECK_OK(close(server));
  return {client, other};
}
Subject full_tcp_stream() {
  Subject ends = tcp_stream();
  fill(ends.fd, writes);
  return ends;
}
Subject terminal(bool wants_master) {
  int master = CHECK_OK(open("/dev/ptmx", O_RDWR | O_NOCTTY)), zero = 0, number;
  CHECK_OK(ioctl(master, TIOCSPTLCK, &zero));
  CHECK_OK(ioctl(master, TIOCGPTN, &number));
  char path[32];
  snprintf(path, sizeof path, "/dev/pts/%d", number);
  int slave = CHECK_OK(open(path, O_RDWR | O_NOCTTY));
  termios raw;
  CHECK_OK(tcgetattr(slave, &raw));
  cfmakeraw(&raw);
  CHECK_OK(tcsetattr(slave, TCSANOW, &raw));
  return wants_master ? Subject{master, slave} : Subject{slave, master};
}
Subject pty_master() { return terminal(true); }
Subject pty_slave() { return terminal(false); }
Subject full_pty_slave() {
  Subject ends = terminal(false);
  fill(ends.fd, writes);
  return ends;
}
Subject full_pty_master() {
  Subject ends = terminal(true);
  fill(ends.fd, writes);
  return ends;
}

constexpr Kind kKinds[] = {
    {"pipe, read", pipe_reader, reads},
    {"pipe, write", full_pipe, writes},
    {"fifo, read", fifo_reader, reads},
    {"eventfd, read", empty_event, reads},
    {"eventfd, write", full_event, writes_a_count},
    {"timerfd, read", timer, reads},
    {"signalfd, read", signals, reads},
    {"unix stream, read", empty_pair<SOCK_STREAM>, reads},
    {"unix stream, recv", empty_pair<SOCK_STREAM>, receives},
    {"unix stream, write", full_pair<SOCK_STREAM>, writes},
    {"unix stream, accept", unix_listener<SOCK_STREAM>, accepts},
    {"unix datagram, recv", empty_pair<SOCK_DGRAM>, receives},
    {"unix datagram, write", full_pair<SOCK_DGRAM>, writes},
    {"unix seqpacket, read", empty_pair<SOCK_SEQPACKET>, reads},
    {"unix seqpacket, write", full_pair<SOCK_SEQPACKET>, writes},
    {"unix seqpacket, accept", unix_listener<SOCK_SEQPACKET>, accepts},
    {"udp, recv", datagrams, receives},
    {"tcp, accept", tcp_listener, accepts},
    {"tcp, read", tcp_stream, reads},
    {"tcp, recv", tcp_stream, receives},
    {"tcp, write", full_tcp_stream, writes},
    {"terminal, read", pty_slave, reads},
    {"terminal, write", full_pty_slave, writes},
    {"pty master, read", pty_master, reads},
    {"pty master, write", full_pty_master, writes},
};

void check_refused(const Kind& kind, int fd, const char* how) {
  errno = 0;
  long result = kind.call(fd);
  if (result != -1 || errno != EAGAIN) FAIL("%s, %s: returned %ld, %s", kind.name, how, result, strerrorname_np(errno));
}
void close_subject(Subject subject) {
  if (subject.other >= 0) CHECK_OK(close(subject.other));
  CHECK_OK(close(subject.fd));
}

}  // namespace

TEST(every_kind_answers_at_once_with_the_flag) {
  for (const Kind& kind : kKinds) {
    Subject subject = kind.make();
    int flags = CHECK_OK(fcntl(subject.fd, F_GETFL)), on = 1, off = 0;
    CHECK_EQ(flags & O_NONBLOCK, 0);
    CHECK_OK(fcntl(subject.fd, F_SETFL, flags | O_NONBLOCK));
    check_refused(kind, subject.fd, "F_SETFL");
    CHECK_OK(fcntl(subject.fd, F_SETFL, flags));
    CHECK_OK(ioctl(subject.fd, FIONBIO, &on));
    CHECK_EQ(fcntl(subject.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    check_refused(kind, subject.fd, "FIONBIO");
    CHECK_OK(ioctl(subject.fd, FIONBIO, &off));
    CHECK_EQ(fcntl(subject.fd, F_GETFL) & O_NONBLOCK, 0);
    close_subject(subject);
  }
}

TEST(every_kind_waits_without_it) {
  for (const Kind& kind : kKinds) {
    Subject subject = kind.make();
    pid_t child = in_child([&] { kind.call(subject.fd); });
    wait_state(child, "SZ");
    if (state_of(child) != 'S') FAIL("%s: did not wait", kind.name);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_SIGNAL(child, SIGKILL);
    close_subject(subject);
  }
}

TEST(the_flag_is_the_open_files_and_not_the_descriptors) {
  Subject subject = pipe_reader();
  int copy = CHECK_OK(dup(subject.fd));
  CHECK_OK(fcntl(copy, F_SETFL, O_NONBLOCK));
  CHECK_ERR(reads(subject.fd), EAGAIN);
  CHECK_EXIT(in_child([&] { CHECK_ERR(reads(subject.fd), EAGAIN); }), 0);
  close(copy), close_subject(subject);
}

TEST(what_is_made_with_the_flag_has_it) {
  sigset_t set;
  sigemptyset(&set);
  int pair[2], ends[2], sockets[2];
  CHECK_OK(pipe2(ends, O_NONBLOCK));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets));
  CHECK_OK(pipe(pair));
  int server = unix_listener<SOCK_STREAM>().fd;
  sockaddr_un name;
  socklen_t bytes = sizeof name;
  CHECK_OK(getsockname(server, (sockaddr*)&name, &bytes));
  int client = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_OK(connect(client, (sockaddr*)&name, bytes));
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", pair[0]);
  const int made[] = {ends[0],
                      sockets[0],
                      eventfd(0, EFD_NONBLOCK),
                      timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK),
                      signalfd(-1, &set, SFD_NONBLOCK),
                      accept4(server, nullptr, nullptr, SOCK_NONBLOCK),
                      open(path, O_RDONLY | O_NONBLOCK)};
  for (int fd : made) {
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_ERR(reads(fd), EAGAIN);
    CHECK_OK(close(fd));
  }
}

TEST(opening_and_connecting_do_not_wait_either) {
  CHECK_OK(mkfifo("fifo", 0600));
  CHECK_ERR(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
  int reader = CHECK_OK(open("fifo", O_RDONLY | O_NONBLOCK));
  CHECK_EQ(reads(reader), 0);
  int writer = CHECK_OK(open("fifo", O_WRONLY | O_NONBLOCK));
  CHECK_ERR(reads(reader), EAGAIN);
  close(reader), close(writer);
  // A queue of connections that is full.
  int server = unix_listener<SOCK_STREAM>().fd;
  sockaddr_un name;
  socklen_t bytes = sizeof name;
  CHECK_OK(getsockname(server, (sockaddr*)&name, &bytes));
  int refused = 0;
  for (int i = 0; i < 8 && !refused; i++) {
    int client = CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    if (connect(client, (sockaddr*)&name, bytes)) refused = errno;
  }
  CHECK_EQ(refused, EAGAIN);
  // Nobody answers there (TEST-NET-1), or there is no way: in neither case does the caller wait.
  int client = CHECK_OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  sockaddr_in nowhere = {};
  nowhere.sin_family = AF_INET;
  nowhere.sin_port = htons(9);
  nowhere.sin_addr.s_addr = htonl(0xc0000201);
  CHECK_EQ(connect(client, (sockaddr*)&nowhere, sizeof nowhere), -1);
  CHECK(errno == EINPROGRESS || errno == ENETUNREACH);
}

TEST(the_kernels_log_too) {
  int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
  if (log < 0) SKIP("the kernel's log cannot be read");
  CHECK_OK(lseek(log, 0, SEEK_END));
  CHECK_ERR(reads(log), EAGAIN);
}
