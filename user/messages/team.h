// A team: processes that share nothing, know each other by rank (0, 1, 2, …) and speak in messages that wait for each other.
//
//   Team team = Team::start(4, Team::By::kMessages);   // from here on there are four of us
//   if (team.rank() == 0) team.send(1, &x, sizeof x);  // returns when rank 1 has it
//   if (team.rank() == 1) team.receive(0, &x, sizeof x);
//   team.leave(0);
//
// The same program runs in three ways, and cannot tell which: processes of one machine over the kernel's messages (over_messages.h), the
// same over TCP (over_tcp.h), or, where tools/cluster has set FAULTLINE_RANK and FAULTLINE_PEERS, one process on each of several machines.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// What became of a receive. `length` is that of the whole message: more than there was room for means that it was cut.
struct Received {
  int error = 0;  // errno: EDEADLK, ESRCH (`rank` has ended, or nobody is left), …
  int rank = -1;
  uint32_t length = 0;
};

// How the members of a team reach each other. Both calls wait until the other side has come: nothing is buffered.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int send(int rank, const void* data, uint32_t length) = 0;  // 0 or an errno
  virtual Received receive(int rank_or_any, void* buffer, uint32_t room) = 0;
  virtual void leave(int status) = 0;   // tells the others, if it can
  virtual int status_of(int rank) = 0;  // with which `rank` left, 0 when that is not known
};

class Team {
 public:
  enum class By { kMessages, kTcp };
  static constexpr int kAny = -1;
  static constexpr int kMost = 64;
  // Exit statuses of a member that could not go on.
  static constexpr int kTrouble = 1, kUsage = 2, kDeadlock = 3, kOtherEnded = 4;

  // Makes this process rank 0 of `processes`, and forks the others: all return from here. In a cluster it makes nothing, and is what it was
  // told to be. Ends the process when there can be no team.
  static Team start(int processes, By by);
  // How many will be in the team that start(processes) makes: in a cluster its machines.
  static int size_of(int processes);

  int rank() const { return rank_; }
  int size() const { return size_; }

  int try_send(int rank, const void* data, uint32_t length) { return transport_->send(rank, data, length); }
  Received try_receive(int rank_or_any, void* buffer, uint32_t room) { return transport_->receive(rank_or_any, buffer, room); }

  // The same for programs that cannot go on without: they end here, with a report and the exit status above.
  void send(int rank, const void* data, uint32_t length) {
    if (const int error = try_send(rank, data, length)) fail("sending to", rank, error);
  }
  Received receive(int rank_or_any, void* buffer, uint32_t room) {
    const Received received = try_receive(rank_or_any, buffer, room);
    if (received.error) fail("receiving from", rank_or_any == kAny && received.rank >= 0 ? received.rank : rank_or_any, received.error);
    return received;
  }

  // Ends this member. Rank 0 waits for those that it forked; when one of them failed, that is its status too.
  [[noreturn]] void leave(int status);

 private:
  Team(int rank, int size, std::vector<int> children, std::unique_ptr<Transport> transport)
      : rank_(rank), size_(size), children_(std::move(children)), transport_(std::move(transport)) {}
  [[noreturn]] void fail(const char* what, int rank, int error);
  int wait_for_children(int status);

  int rank_, size_;
  std::vector<int> children_;  // of rank 0, on one machine
  std::unique_ptr<Transport> transport_;
};

#include "user/messages/team_start.h"
