// How a team begins and ends: part of team.h. Whoever reads the programs for the first time may leave it out.
#pragma once

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "user/messages/over_messages.h"
#include "user/messages/over_tcp.h"
#include "user/messages/team.h"

inline int Team::size_of(int processes) {
  const char* peers = getenv("FAULTLINE_PEERS");
  return peers ? static_cast<int>(addresses_of(peers).size()) : processes;
}

inline Team Team::start(int processes, By by) {
  signal(SIGPIPE, SIG_IGN);
  if (const char* peers = getenv("FAULTLINE_PEERS")) {
    const std::vector<Address> addresses = addresses_of(peers);
    const char* told = getenv("FAULTLINE_RANK");
    const int rank = told ? atoi(told) : -1, size = static_cast<int>(addresses.size());
    if (rank < 0 || rank >= size) team_die("FAULTLINE_RANK is no rank of FAULTLINE_PEERS");
    return Team(rank, size, {}, std::make_unique<OverTcp>(rank, connect_mesh(rank, addresses, listen_at(addresses[rank]))));
  }
  if (by == By::kMessages && !OverMessages::is_possible()) team_die("this kernel has no messages; --tcp does the same over TCP");

  std::vector<Address> addresses(by == By::kTcp ? processes : 0, Address{"127.0.0.1", 0});
  std::vector<int> listeners;  // made before anybody is born: nobody can come too early
  for (Address& address : addresses) listeners.push_back(listen_at(address)), address.port = port_of(listeners.back());
  fflush(nullptr);
  const pid_t first = getpid();
  std::vector<int> pids = {first};
  int rank = 0;
  while (rank == 0 && static_cast<int>(pids.size()) < processes) {
    const pid_t pid = fork();
    if (pid < 0) team_die("fork");  // those who are there already end with us
    if (pid == 0) {
      rank = static_cast<int>(pids.size());
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != first) _exit(kOtherEnded);
    }
    pids.push_back(pid);
  }
  std::vector<int> children(pids.begin() + 1, pids.end());
  if (rank > 0) children.clear();
  if (by == By::kMessages) return Team(rank, processes, children, std::make_unique<OverMessages>(rank, processes, pids));
  for (int other = 0; other < processes; other++)
    if (other != rank) close(listeners[other]);
  return Team(rank, processes, children, std::make_unique<OverTcp>(rank, connect_mesh(rank, addresses, listeners[rank])));
}

// The status of a team: its own trouble comes before that of a member that only lost another.
inline int Team::wait_for_children(int status) {
  const auto is_cause = [](int s) { return s != 0 && s != kOtherEnded; };
  for (int turn = 0; !children_.empty(); turn++) {
    int how;
    const pid_t pid = waitpid(-1, &how, status == 0 ? 0 : WNOHANG);
    if (pid < 0 && errno != EINTR) break;
    if (pid > 0) {
      std::erase(children_, pid);
      const int its = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
      if (!is_cause(status) && its != 0) status = its;
      if (WIFSIGNALED(how))
        fprintf(stderr, "%s: a process of the team was killed by signal %d\n", program_invocation_short_name, WTERMSIG(how));
    } else if (pid == 0) {
      // It has failed, and these may be waiting for us: once the cause is known, or does not show itself, they need not go on.
      if (is_cause(status) || turn > 100) break;
      usleep(10000);
    }
  }
  for (int pid : children_) kill(pid, SIGKILL);
  for (int pid : children_) waitpid(pid, nullptr, 0);
  return status;
}

inline void Team::leave(int status) {
  fflush(nullptr);
  transport_->leave(status);
  if (rank_ == 0) status = wait_for_children(status);
  _exit(status);
}

inline void Team::fail(const char* what, int rank, int error) {
  if (error == ESRCH) {
    // One report is enough: that of whoever ended first, and rank 0's.
    if (rank_ == 0) fprintf(stderr, "%s: rank 0: %s rank %d: it has ended\n", program_invocation_short_name, what, rank);
    const int status = rank < 0 ? 0 : transport_->status_of(rank);
    leave(status ? status : kOtherEnded);
  }
  const char* why = error == EDEADLK ? "deadlock: that closes a circle of ranks that wait, each for the next" : strerror(error);
  fprintf(stderr, "%s: rank %d: %s rank %d: %s\n", program_invocation_short_name, rank_, what, rank, why);
  leave(error == EDEADLK ? kDeadlock : kTrouble);
}
