// Puts a load on the servers of this folder, one after the other, and compares them.
//
// usage: server_load [-a ACTIVE] [-i IDLE] [-n REQUESTS] [-p PORT] SERVER...
// Each SERVER is started on PORT. IDLE clients connect and say nothing; ACTIVE ones ask for /hello, each again when it has its answer, REQUESTS
// times in all. The client, which is one epoll loop, is the same for all.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "user/servers/figures.h"

namespace {

struct Options {
  int active = 50, idle = 0, requests = 5000, port = 8090;
  std::vector<std::string> servers;
};

[[noreturn]] void fail(const char* what) {
  fprintf(stderr, "server_load: %s: %s\n", what, strerror(errno));
  exit(1);
}

Options options_of(int count, char** arguments) {
  Options options;
  for (int option; (option = getopt(count, arguments, "a:i:n:p:")) != -1;) {
    int* value = option == 'a' ? &options.active : option == 'i' ? &options.idle : option == 'n' ? &options.requests : &options.port;
    if (option != '?') *value = atoi(optarg);
    if (option != '?' && *value >= (option == 'i' ? 0 : 1)) continue;
    fprintf(stderr, "usage: server_load [-a ACTIVE] [-i IDLE] [-n REQUESTS] [-p PORT] SERVER...\n");
    exit(2);
  }
  options.servers.assign(arguments + optind, arguments + count);
  return options;
}

double seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// For us and for the server, a descriptor each client. Who is not root cannot have more than it is allowed.
void allow_descriptors(rlim_t count) {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) < 0) return;
  const rlimit wanted = {std::max(files.rlim_max, count), std::max(files.rlim_max, count)};
  if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// A connection to the port of this machine, or -1.
int connect_to(int port) {
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (client < 0) fail("socket");
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return client;
  close(client);
  return -1;
}

pid_t start(const std::string& server, int port) {
  if (const int other = connect_to(port); other >= 0) {
    fprintf(stderr, "server_load: somebody serves port %d already (-p takes another)\n", port);
    exit(1);
  }
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // whatever becomes of us, the port is free afterwards
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, 2);
    execlp(server.c_str(), server.c_str(), std::to_string(port).c_str(), nullptr);
    _exit(127);
  }
  for (int attempt = 0; attempt < 500; attempt++) {
    const int client = connect_to(port);
    if (client >= 0) return close(client), pid;
    if (waitpid(pid, nullptr, WNOHANG) == pid) break;
    usleep(10000);
  }
  fprintf(stderr, "server_load: %s does not serve\n", server.c_str());
  exit(1);
}

constexpr char kRequest[] = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";

// Whether `answer` is whole: its head, and as many bytes as that says.
bool is_whole(const std::string& answer) {
  const size_t head = answer.find("\r\n\r\n");
  return head != std::string::npos && answer.size() >= head + 4 + static_cast<size_t>(number_behind(answer, "Content-Length: "));
}

void ask(int client) {
  if (send(client, kRequest, sizeof kRequest - 1, 0) != sizeof kRequest - 1) fail("send");
}

// Returns when all requests are answered.
void put_load(const std::vector<int>& clients, int requests) {
  const int loop = epoll_create1(EPOLL_CLOEXEC);
  if (loop < 0) fail("epoll_create1");
  std::vector<std::string> answers(clients.size());
  int asked = 0, answered = 0;
  for (size_t i = 0; i < clients.size(); i++) {
    epoll_event wish = {EPOLLIN, {}};
    wish.data.u64 = i;
    if (epoll_ctl(loop, EPOLL_CTL_ADD, clients[i], &wish) < 0) fail("epoll_ctl");
    if (asked < requests) ask(clients[i]), asked++;
  }
  while (answered < requests) {
    epoll_event ready[64];
    const int count = epoll_wait(loop, ready, 64, -1);
    for (int i = 0; i < count; i++) {
      const size_t which = ready[i].data.u64;
      char bytes[4096];
      const ssize_t got = recv(clients[which], bytes, sizeof bytes, 0);
      if (got <= 0) fail("the server hung up");
      answers[which].append(bytes, static_cast<size_t>(got));
      if (!is_whole(answers[which])) continue;
      answers[which].clear();
      answered++;
      if (asked < requests) ask(clients[which]), asked++;
    }
  }
  close(loop);
}

struct Measured {
  double seconds, processor_time;          // of the load alone
  long threads, resident, machine_memory;  // KiB: of the server; what the machine has less with all connections, both ends
};

double processor_seconds(pid_t pid) {
  clockid_t clock;
  timespec used = {};
  if (clock_getcpuclockid(pid, &clock) == 0) clock_gettime(clock, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

Measured measure(const Options& options, const std::string& server) {
  const long free_before = number_behind(text_of("/proc/meminfo"), "MemFree:");
  const pid_t pid = start(server, options.port);
  std::vector<int> idle, active;
  for (int i = 0; i < options.idle + options.active; i++) {
    const int client = connect_to(options.port);
    if (client < 0) fail("connect");
    (i < options.idle ? idle : active).push_back(client);
  }
  const double begin = seconds(), used_before = processor_seconds(pid);
  put_load(active, options.requests);
  const std::string status = text_of("/proc/" + std::to_string(pid) + "/status");
  const Measured measured = {seconds() - begin, processor_seconds(pid) - used_before, number_behind(status, "Threads:"),
                             number_behind(status, "VmRSS:"), free_before - number_behind(text_of("/proc/meminfo"), "MemFree:")};
  for (const std::vector<int>* clients : {&idle, &active})
    for (int client : *clients) close(client);
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return measured;
}

}  // namespace

int main(int count, char** arguments) {
  Options options = options_of(count, arguments);
  if (options.servers.empty()) options.servers = {"/bin/server_threads", "/bin/server_poll", "/bin/server_epoll", "/bin/server_uring"};
  signal(SIGPIPE, SIG_IGN);
  allow_descriptors(static_cast<rlim_t>(options.idle + options.active) + 64);
  printf("%d requests by %d clients, %d more are idle\n", options.requests, options.active, options.idle);
  printf("%-16s %12s %16s %9s %14s %14s\n", "server", "requests/s", "its CPU time", "threads", "resident", "machine");
  for (const std::string& server : options.servers) {
    const Measured measured = measure(options, server);
    printf("%-16s %12.0f %13.1f us %9ld %10ld KiB %10ld KiB\n", server.substr(server.rfind('/') + 1).c_str(),
           options.requests / measured.seconds, measured.processor_time / options.requests * 1e6, measured.threads, measured.resident,
           measured.machine_memory);
    fflush(stdout);
  }
}
