// The service in one thread over poll: each turn asks about all clients, and looks at all answers. See connection.h.
#include <poll.h>

#include <memory>
#include <vector>

#include "user/servers/connection.h"
#include "user/servers/listener.h"

int main(int count, char** arguments) {
  Listener listener(count, arguments, SOCK_NONBLOCK);
  std::vector<pollfd> questions = {{listener.fd(), POLLIN, 0}};
  std::vector<std::unique_ptr<Connection>> connections(1);  // of the same place in `questions`
  for (;;) {
    if (poll(questions.data(), questions.size(), -1) < 0 && errno != EINTR) die("poll");
    const bool is_anybody_new = questions[0].revents != 0;
    for (size_t i = questions.size() - 1; i > 0; i--) {
      if (questions[i].revents == 0) continue;
      Connection& connection = *connections[i];
      const bool goes_on = questions[i].revents & POLLOUT ? connection.handleWrite() : connection.handleRead();
      if (goes_on) {
        questions[i].events = static_cast<short>((connection.waits_to_read() ? POLLIN : 0) | (connection.waits_to_write() ? POLLOUT : 0));
        continue;
      }
      questions[i] = questions.back();  // which has been looked at
      connections[i] = std::move(connections.back());
      questions.pop_back();
      connections.pop_back();
    }
    if (!is_anybody_new) continue;
    for (int client; (client = listener.accept(SOCK_NONBLOCK)) >= 0;) {
      connections.push_back(std::make_unique<Connection>(client));
      questions.push_back({client, POLLIN, 0});
    }
  }
}
