// The service in one thread over epoll: the kernel keeps the questions, and tells only of clients that are ready. See connection.h.
#include <sys/epoll.h>

#include "user/servers/connection.h"
#include "user/servers/listener.h"

static uint32_t wanted_by(const Connection& connection) {
  return (connection.waits_to_read() ? EPOLLIN : 0u) | (connection.waits_to_write() ? EPOLLOUT : 0u);
}

int main(int count, char** arguments) {
  Listener listener(count, arguments, SOCK_NONBLOCK);
  const int loop = epoll_create1(EPOLL_CLOEXEC);
  if (loop < 0) die("epoll_create1");
  epoll_event wish = {EPOLLIN, {nullptr}};  // null: the listener
  if (epoll_ctl(loop, EPOLL_CTL_ADD, listener.fd(), &wish) < 0) die("epoll_ctl");
  for (;;) {
    epoll_event ready[64];
    const int ready_count = epoll_wait(loop, ready, 64, -1);
    if (ready_count < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < ready_count; i++) {
      auto* connection = static_cast<Connection*>(ready[i].data.ptr);
      if (!connection) {
        for (int client; (client = listener.accept(SOCK_NONBLOCK)) >= 0;) {
          wish = {EPOLLIN, {new Connection(client)}};
          if (epoll_ctl(loop, EPOLL_CTL_ADD, client, &wish) < 0) delete static_cast<Connection*>(wish.data.ptr);
        }
        continue;
      }
      const uint32_t wanted = wanted_by(*connection);
      const bool goes_on = ready[i].events & EPOLLOUT ? connection->handleWrite() : connection->handleRead();
      if (!goes_on) {
        delete connection;  // closing its descriptor takes it out of the loop
        continue;
      }
      wish = {wanted_by(*connection), {connection}};
      if (wish.events != wanted) epoll_ctl(loop, EPOLL_CTL_MOD, connection->fd, &wish);
    }
  }
}
