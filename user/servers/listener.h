// What the servers of this folder do with sockets in the same way.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "user/servers/figures.h"

[[noreturn]] inline void die(const char* what) {
  perror(what);
  exit(1);
}

// The listening socket of `server [PORT]`. As many descriptors as there may be; who hangs up on us is no reason to die.
class Listener {
 public:
  Listener(int count, char** arguments, int flags) {
    const char* name = strrchr(arguments[0], '/');
    server_figures.name = name ? name + 1 : arguments[0];
    const int port = count > 1 ? atoi(arguments[1]) : 8080;
    if (count > 2 || port <= 0 || port > 65535) {
      fprintf(stderr, "usage: %s [PORT]    (8080)\n", arguments[0]);
      exit(2);
    }
    signal(SIGPIPE, SIG_IGN);
    rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
      files.rlim_cur = files.rlim_max;
      setrlimit(RLIMIT_NOFILE, &files);
    }
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd_ < 0) die("socket");
    const int on = 1;
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) die("bind");
    if (listen(fd_, SOMAXCONN) < 0) die("listen");
    fprintf(stderr, "%s: listening on port %d\n", server_figures.name, port);
  }
  int fd() const { return fd_; }
  // A client that has just been accepted.
  static int welcome(int client) {
    const int on = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return client;
  }

  // The next client, or -1 with errno. When descriptors have run out it is hung up on: it would stand in the queue for ever, and the queue
  // would be ready for ever.
  int accept(int flags) {
    for (;;) {
      int client = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | flags);
      if (client >= 0) return welcome(client);
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno != EMFILE && errno != ENFILE) return -1;
      close(spare_);
      client = ::accept(fd_, nullptr, nullptr);
      if (client >= 0) close(client);
      spare_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
      if (client < 0) return -1;
    }
  }

 private:
  int fd_;
  int spare_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
};
