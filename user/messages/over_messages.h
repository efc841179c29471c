// A team on the kernel's messages (faultline/message.h): they are a rendezvous already, and only ranks must become process numbers.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <vector>

#include <faultline/message.h>
#include "user/messages/team.h"

class OverMessages : public Transport {
 public:
  static bool is_possible() { return msg_send(0, nullptr, 0, MSG_TRY, nullptr) != -ENOSYS; }

  // `pids` holds all ranks at rank 0, and elsewhere those that are older: rank 0 sends everybody the whole list, as the first message.
  OverMessages(int rank, int size, std::vector<int> pids) : pids_(std::move(pids)), rank_(rank) {
    pids_.resize(size);
    const uint32_t length = static_cast<uint32_t>(size * sizeof(int));
    for (int other = 1; rank == 0 && other < size; other++) send(other, pids_.data(), length);
    if (rank > 0 && msg_recv(static_cast<uint32_t>(pids_[0]), pids_.data(), length, nullptr, 0, nullptr) < 0) _exit(Team::kOtherEnded);
  }

  int send(int rank, const void* data, uint32_t length) override {
    for (;;) {
      const int32_t taken = msg_send(static_cast<uint32_t>(pids_[rank]), data, length, 0, nullptr);
      if (taken != -EINTR) return taken < 0 ? -taken : 0;
    }
  }

  Received receive(int rank, void* buffer, uint32_t room) override {
    for (;;) {
      // Whoever waits for anybody is not told that one of them has ended, and looks each second.
      const msg_timeout second = {1, 0};
      const bool any = rank == Team::kAny;
      msg_sender sender = {};
      const int32_t got = msg_recv(any ? MSG_ANY : static_cast<uint32_t>(pids_[rank]), buffer, room, &sender, 0, any ? &second : nullptr);
      if (got == -ETIMEDOUT && has_lost_one()) return {ESRCH, lost_, 0};
      if (got == -EINTR || got == -ETIMEDOUT) continue;
      if (got < 0) return {-got, rank, 0};
      const auto place = std::find(pids_.begin(), pids_.end(), static_cast<int>(sender.process));
      if (place == pids_.end()) continue;  // a stranger's
      return {0, static_cast<int>(place - pids_.begin()), sender.length};
    }
  }

  void leave(int) override {}  // the kernel tells them, when they ask
  int status_of(int) override { return 0; }

 private:
  // Whether one has ended that did not mean to; only rank 0 has children to ask about.
  bool has_lost_one() {
    for (size_t other = 1; rank_ == 0 && other < pids_.size(); other++) {
      siginfo_t how = {};
      if (waitid(P_PID, static_cast<id_t>(pids_[other]), &how, WEXITED | WNOHANG | WNOWAIT) == 0 && how.si_pid != 0 &&
          (how.si_code != CLD_EXITED || how.si_status != 0)) {
        lost_ = static_cast<int>(other);
        return true;
      }
    }
    return false;
  }

  std::vector<int> pids_;  // by rank
  int rank_, lost_ = -1;
};
