// What the tests of sockets and rings share: addresses, pipes, pairs, messages with descriptors.
#pragma once
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "user/tests/harness.h"

struct Address {
  sockaddr_un un = {};
  socklen_t bytes = 0;
  sockaddr* get() { return (sockaddr*)&un; }
};
inline Address path_address(const char* path) {
  Address a;
  a.un.sun_family = AF_UNIX;
  strncpy(a.un.sun_path, path, sizeof a.un.sun_path);
  a.bytes = offsetof(sockaddr_un, sun_path) + strlen(path) + 1;
  return a;
}
// Of this process and test only.
inline Address abstract_address(const char* name) {
  Address a;
  a.un.sun_family = AF_UNIX;
  int n = snprintf(a.un.sun_path + 1, sizeof a.un.sun_path - 1, "%s-%d", name, getpid());
  a.bytes = offsetof(sockaddr_un, sun_path) + 1 + n;
  return a;
}
inline Address own_address(int fd) {
  Address a;
  a.bytes = sizeof a.un;
  CHECK_OK(getsockname(fd, a.get(), &a.bytes));
  return a;
}

struct Pipe {
  int in, out;
  Pipe() {
    int fd[2];
    CHECK_OK(pipe(fd));
    in = fd[0], out = fd[1];
  }
  ~Pipe() { close(in), close(out); }
};

struct Pair {
  int fd[2];
  explicit Pair(int type = SOCK_STREAM) { CHECK_OK(socketpair(AF_UNIX, type, 0, fd)); }
  ~Pair() { close_both(); }
  void close_one(int i) {
    if (fd[i] >= 0) CHECK_OK(close(fd[i]));
    fd[i] = -1;
  }
  void close_both() { close_one(0), close_one(1); }
};

inline int listener(Address at, int backlog = 8, int type = SOCK_STREAM) {
  int fd = CHECK_OK(socket(AF_UNIX, type, 0));
  CHECK_OK(bind(fd, at.get(), at.bytes));
  CHECK_OK(listen(fd, backlog));
  return fd;
}
inline int connected(Address to, int type = SOCK_STREAM) {
  int fd = CHECK_OK(socket(AF_UNIX, type, 0));
  CHECK_OK(connect(fd, to.get(), to.bytes));
  return fd;
}
inline int bound(Address at, int type = SOCK_DGRAM) {
  int fd = CHECK_OK(socket(AF_UNIX, type, 0));
  CHECK_OK(bind(fd, at.get(), at.bytes));
  return fd;
}

inline short poll_of(int fd, short events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP) {
  pollfd p = {fd, events, 0};
  CHECK(poll(&p, 1, 0) >= 0);
  return p.revents;
}
inline int option(int fd, int name) {
  int value = -1;
  socklen_t bytes = sizeof value;
  CHECK_OK(getsockopt(fd, SOL_SOCKET, name, &value, &bytes));
  return value;
}
inline void set_option(int fd, int name, int value) { CHECK_OK(setsockopt(fd, SOL_SOCKET, name, &value, sizeof value)); }
inline void set_timeout(int fd, int name, int milliseconds) {
  timeval t = {milliseconds / 1000, milliseconds % 1000 * 1000};
  CHECK_OK(setsockopt(fd, SOL_SOCKET, name, &t, sizeof t));
}

// A message with descriptors, credentials, or both.
struct Message {
  char data[64] = "x";
  iovec piece = {data, 1};
  alignas(cmsghdr) char control[2048];
  msghdr header = {};
  Message() {
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
  }
  cmsghdr* add(int type, const void* what, size_t bytes) {
    char* place = control + header.msg_controllen;
    header.msg_control = control;
    header.msg_controllen += CMSG_SPACE(bytes);
    memset(place, 0, CMSG_SPACE(bytes));
    cmsghdr* c = (cmsghdr*)place;
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(c), what, bytes);
    return c;
  }
  void room(size_t bytes) {
    header.msg_control = control;
    header.msg_controllen = bytes;
    piece.iov_len = sizeof data;
  }
  cmsghdr* found(int type) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
      if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == type) return c;
    return nullptr;
  }
};
inline ssize_t send_files(int over, const int* fds, int count, int flags = 0) {
  Message m;
  m.add(SCM_RIGHTS, fds, count * sizeof(int));
  return sendmsg(over, &m.header, flags);
}
inline ssize_t send_file(int over, int fd, int flags = 0) { return send_files(over, &fd, 1, flags); }
// How many came; `fds` has room for as many as `most`.
inline int receive_files(int from, int* fds, int most, int flags = 0, int* told = nullptr) {
  Message m;
  m.room(CMSG_SPACE(most * sizeof(int)));
  CHECK_OK(recvmsg(from, &m.header, flags));
  if (told) *told = m.header.msg_flags;
  cmsghdr* c = m.found(SCM_RIGHTS);
  int count = c ? int((c->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;
  if (c) memcpy(fds, CMSG_DATA(c), count * sizeof(int));
  return count;
}
inline int receive_file(int from) {
  int fd = -1;
  CHECK_EQ(receive_files(from, &fd, 1), 1);
  return fd;
}
