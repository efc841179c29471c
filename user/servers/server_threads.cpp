// The service with a thread for each client: the plain loop, which blocks. See service.h.
#include <pthread.h>

#include "user/servers/listener.h"
#include "user/servers/service.h"

// All of the text, or false.
static bool send_all(int client, Service& service) {
  while (!service.unsent().empty()) {
    const ssize_t count = send(client, service.unsent().data(), service.unsent().size(), 0);
    if (count < 0) return false;
    service.sent(static_cast<size_t>(count));
  }
  return true;
}

static void* serve(void* argument) {
  const int client = static_cast<int>(reinterpret_cast<intptr_t>(argument));
  Service service;
  char bytes[4 << 10];
  for (ssize_t count; !service.is_over() && (count = recv(client, bytes, sizeof bytes, 0)) > 0;) {
    service.take({bytes, static_cast<size_t>(count)});
    if (!send_all(client, service)) break;
  }
  close(client);
  server_figures.connections--;
  return nullptr;
}

int main(int count, char** arguments) {
  Listener listener(count, arguments, 0);
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&small, 64 << 10);
  for (;;) {
    const int client = listener.accept(0);
    if (client < 0) die("accept");
    server_figures.connections++;
    pthread_t thread;
    if (pthread_create(&thread, &small, serve, reinterpret_cast<void*>(static_cast<intptr_t>(client))) == 0) continue;
    close(client);  // no memory for another thread: the others go on
    server_figures.connections--;
  }
}
