// What the tests of AF_INET share: addresses and connections over loopback, and what poll and options tell.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "user/tests/harness.h"

constexpr short kAll = POLLIN | POLLOUT | POLLRDHUP;

inline sockaddr_in at_port(int port, uint32_t address = INADDR_LOOPBACK) {
  sockaddr_in a = {};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(address);
  return a;
}
inline const sockaddr* generic(const sockaddr_in& a) { return (const sockaddr*)&a; }

inline sockaddr_in own(int fd) {
  sockaddr_in a;
  socklen_t bytes = sizeof a;
  CHECK_OK(getsockname(fd, (sockaddr*)&a, &bytes));
  CHECK_EQ(bytes, sizeof a);
  return a;
}

inline int socket_of(int type, int flags = 0) { return CHECK_OK(socket(AF_INET, type | flags, 0)); }

inline int bound(int type, int flags = 0) {
  int fd = socket_of(type, flags);
  sockaddr_in any = at_port(0);
  CHECK_OK(bind(fd, generic(any), sizeof any));
  return fd;
}

inline int listener(int backlog = 8, int flags = 0) {
  int fd = bound(SOCK_STREAM, flags);
  CHECK_OK(listen(fd, backlog));
  return fd;
}

inline int connected(int to) {
  int fd = socket_of(SOCK_STREAM);
  sockaddr_in a = own(to);
  CHECK_OK(connect(fd, generic(a), sizeof a));
  return fd;
}

struct Connection {
  int server = listener(), client = connected(server), other = CHECK_OK(accept(server, nullptr, nullptr));
  ~Connection() { close_fd(client), close_fd(other), close_fd(server); }
  static void close_fd(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
};

inline short poll_of(int fd, short events = kAll, int milliseconds = 0) {
  pollfd p = {fd, events, 0};
  CHECK(poll(&p, 1, milliseconds) >= 0);
  return p.revents;
}
// What a state of both ends leads to may take a moment.
inline void wait_for(int fd, short wanted) {
  for (int i = 0; i < 500 && (poll_of(fd) & wanted) != wanted; i++) usleep(10000);
  CHECK_EQ(poll_of(fd) & wanted, wanted);
}
inline int option(int fd, int level, int name) {
  int value = -1;
  socklen_t bytes = sizeof value;
  CHECK_OK(getsockopt(fd, level, name, &value, &bytes));
  return value;
}
inline void set_option(int fd, int level, int name, int value) { CHECK_OK(setsockopt(fd, level, name, &value, sizeof value)); }
inline void reset_on_close(int fd) {
  linger now = {1, 0};
  CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
}

// The first socket starts the network, which stays: not a test's memory.
inline const int kWarm = close(socket_of(SOCK_STREAM));
