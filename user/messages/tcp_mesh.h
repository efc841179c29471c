// The connections under a team on TCP: one between every two ranks, made before the first message.
//
// The higher rank connects, the lower accepts. A connection that came about is no proof that the other program runs: between machines a relay
// (QEMU's forwarded port) accepts in its name, before it has even booted. So the two shake hands in frames: kHello with the higher one's rank,
// kWelcome, kStart; whoever gets no welcome hangs up and tries anew, and only a connection with a kStart counts.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "user/messages/probes.h"

// What goes over a connection, in the byte order of i386; a kData is followed by `number` bytes. over_tcp.h has the protocol.
struct Frame {
  enum Kind : uint32_t { kHello = 0x4d414554, kWelcome, kStart, kOffer, kTake, kData, kProbe, kBye };
  uint32_t kind;
  uint32_t number;  // a rank, a length, or an exit status
  Probe probe;      // of kProbe
};
static_assert(sizeof(Frame) == 24);

struct Address {
  std::string host;  // as four numbers
  int port;
};

[[noreturn]] inline void team_die(const char* what) {
  fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, what, errno ? ": " : "", errno ? strerror(errno) : "");
  _exit(1);
}

// "10.0.2.2:5001,10.0.2.2:5002"
inline std::vector<Address> addresses_of(const std::string& list) {
  std::vector<Address> addresses;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string one = list.substr(begin, end - begin);
    const size_t colon = one.find(':');
    const int port = colon == std::string::npos ? 0 : atoi(one.c_str() + colon + 1);
    errno = 0;
    if (port <= 0 || port > 65535) team_die(("FAULTLINE_PEERS: not HOST:PORT: " + one).c_str());
    addresses.push_back({one.substr(0, colon), port});
    begin = end + 1;
  }
  return addresses;
}

inline sockaddr_in socket_address(const Address& address) {
  sockaddr_in in = {};
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<uint16_t>(address.port));
  if (inet_pton(AF_INET, address.host.c_str(), &in.sin_addr) != 1) team_die(("not an address: " + address.host).c_str());
  return in;
}

inline int listen_at(const Address& address) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  const sockaddr_in in = socket_address(address);
  if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
      bind(listener, reinterpret_cast<const sockaddr*>(&in), sizeof in) < 0 || listen(listener, SOMAXCONN) < 0)
    team_die("listening for the team");
  return listener;
}

inline int port_of(int listener) {
  sockaddr_in in = {};
  socklen_t length = sizeof in;
  if (getsockname(listener, reinterpret_cast<sockaddr*>(&in), &length) < 0) team_die("getsockname");
  return ntohs(in.sin_port);
}

// All of them, or false: the other has hung up.
inline bool write_all(int fd, const void* data, size_t length) {
  for (size_t done = 0; done < length;) {
    const ssize_t count = ::send(fd, static_cast<const char*>(data) + done, length - done, MSG_NOSIGNAL);
    if (count > 0) done += static_cast<size_t>(count);
    if (count < 0 && errno != EINTR) return false;
  }
  return true;
}
inline bool read_all(int fd, void* data, size_t length) {
  for (size_t done = 0; done < length;) {
    const ssize_t count = recv(fd, static_cast<char*>(data) + done, length - done, 0);
    if (count > 0) done += static_cast<size_t>(count);
    if (count == 0 || (count < 0 && errno != EINTR)) return false;
  }
  return true;
}

inline bool write_frame(int fd, Frame::Kind kind, uint32_t number) {
  const Frame frame = {kind, number, {}};
  return write_all(fd, &frame, sizeof frame);
}
inline bool read_frame(int fd, Frame& frame) { return read_all(fd, &frame, sizeof frame); }

inline bool is_readable(int fd, int milliseconds) {
  pollfd question = {fd, POLLIN, 0};
  return poll(&question, 1, milliseconds) > 0;
}

inline int connect_to_rank(int rank, const Address& other) {
  const sockaddr_in in = socket_address(other);
  int patience = 1000;  // ms until the next try
  for (const time_t begin = time(nullptr); time(nullptr) - begin < 300; patience = std::min(patience * 2, 16000)) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) team_die("socket");
    Frame answer = {};
    if (connect(fd, reinterpret_cast<const sockaddr*>(&in), sizeof in) == 0 &&
        write_frame(fd, Frame::kHello, static_cast<uint32_t>(rank)) && is_readable(fd, patience) && read_frame(fd, answer) &&
        answer.kind == Frame::kWelcome && write_frame(fd, Frame::kStart, 0))
      return fd;
    close(fd);
    usleep(100000);
  }
  errno = ETIMEDOUT;
  team_die(("reaching " + other.host + ":" + std::to_string(other.port)).c_str());
}

// The connections to all ranks above `rank`.
inline void accept_ranks(int rank, int listener, std::vector<int>& connections) {
  struct Candidate {
    int fd, rank;
  };
  std::vector<Candidate> candidates;
  size_t missing = connections.size() - static_cast<size_t>(rank) - 1;
  while (missing > 0) {
    std::vector<pollfd> questions = {{listener, POLLIN, 0}};
    for (const Candidate& candidate : candidates) questions.push_back({candidate.fd, POLLIN, 0});
    if (poll(questions.data(), questions.size(), -1) < 0 && errno != EINTR) team_die("poll");
    for (size_t i = questions.size() - 1; i > 0; i--) {
      if (questions[i].revents == 0) continue;
      Candidate& candidate = candidates[i - 1];
      Frame frame = {};
      const bool goes_on = read_frame(candidate.fd, frame);
      const int told = static_cast<int>(frame.number);
      if (goes_on && frame.kind == Frame::kHello && told > rank && told < static_cast<int>(connections.size())) {
        candidate.rank = told;
        if (write_frame(candidate.fd, Frame::kWelcome, 0)) continue;
      }
      if (goes_on && frame.kind == Frame::kStart && candidate.rank > 0 && connections[candidate.rank] < 0) {
        connections[candidate.rank] = candidate.fd;
        missing--;
      } else {
        close(candidate.fd);  // it tries anew, or was no member
      }
      candidates.erase(candidates.begin() + static_cast<long>(i) - 1);
    }
    if (questions[0].revents == 0) continue;
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) candidates.push_back({fd, -1});
  }
  for (const Candidate& candidate : candidates) close(candidate.fd);
}

// The connection to each rank, -1 for the own.
inline std::vector<int> connect_mesh(int rank, const std::vector<Address>& addresses, int listener) {
  std::vector<int> connections(addresses.size(), -1);
  for (int lower = 0; lower < rank; lower++) connections[lower] = connect_to_rank(rank, addresses[lower]);
  accept_ranks(rank, listener, connections);
  close(listener);
  const int on = 1;
  for (int fd : connections)
    if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return connections;
}
