// The service in one thread over io_uring: instead of learning that a read would not block, the read is enqueued, and its completion says that it is
// done. Each client has one request under way, and the memory for it.
#include "user/servers/connection.h"
#include "user/servers/listener.h"
#include "user/servers/ring.h"

struct Client : Connection {
  using Connection::Connection;

  // Enqueues what comes next; false: it is over.
  bool go_on(Ring& ring) {
    if (service.is_over()) return false;
    sends = waits_to_write();
    if (sends)
      ring.send(fd, service.unsent().data(), service.unsent().size(), this);
    else
      ring.recv(fd, bytes, sizeof bytes, this);
    return true;
  }
  // What was enqueued is done.
  bool completed(Ring& ring, int result) {
    if (result < 0) return false;
    if (sends)
      service.sent(static_cast<size_t>(result));
    else
      result == 0 ? service.end() : service.take({bytes, static_cast<size_t>(result)});
    return go_on(ring);
  }

  bool sends = false;
  char bytes[1 << 10];
};

int main(int count, char** arguments) {
  Listener listener(count, arguments, SOCK_NONBLOCK);
  Ring ring(256);
  ring.accept(listener.fd(), nullptr);
  bool has_run_out = false;  // of descriptors: then it is waited for a client, which the listener knows how to refuse
  for (;;) {
    ring.wait();
    for (Ring::Completion completion; ring.next(completion);) {
      if (auto* client = static_cast<Client*>(completion.whose)) {
        if (!client->completed(ring, completion.result)) delete client;
        continue;
      }
      const int fd = has_run_out ? listener.accept(0) : completion.result >= 0 ? listener.welcome(completion.result) : -1;
      has_run_out = !has_run_out && (completion.result == -EMFILE || completion.result == -ENFILE);
      if (fd >= 0) (new Client(fd))->go_on(ring);
      has_run_out ? ring.poll(listener.fd(), nullptr) : ring.accept(listener.fd(), nullptr);
    }
  }
}
