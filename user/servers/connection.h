// One client of a server that never blocks: what the loop of "read a line, compute, write" keeps on its stack stands in a record, and the loop
// is cut where it would wait.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "user/servers/service.h"

struct Connection {
  explicit Connection(int socket) : fd(socket) { server_figures.connections++; }
  ~Connection() {
    close(fd);
    server_figures.connections--;
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // There may be bytes to read, or room to write; false: it is over. Only some of each: others wait for their turn too.
  bool handleRead() {
    char bytes[16 << 10];
    const ssize_t count = recv(fd, bytes, sizeof bytes, 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    count == 0 ? service.end() : service.take({bytes, static_cast<size_t>(count)});
    return handleWrite();
  }
  bool handleWrite() {
    for (int turn = 0; turn < 4 && !service.unsent().empty(); turn++) {
      const ssize_t count = send(fd, service.unsent().data(), service.unsent().size(), 0);
      if (count < 0) return errno == EAGAIN || errno == EINTR;
      service.sent(static_cast<size_t>(count));
    }
    return !service.is_over();
  }
  bool waits_to_read() const { return service.wants_bytes(); }
  bool waits_to_write() const { return !service.unsent().empty(); }

  const int fd;
  Service service;
};
