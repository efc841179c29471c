// A team on TCP, which buffers: the rendezvous is made of frames.
//
//   sender                                     receiver
//   kOffer, length           ->                keeps it in mind, until it receives from this rank
//   waits                    <-                kTake, how many bytes it has room for
//   kData, the bytes         ->                puts them where they belong
//
// So no message is ever stored anywhere but in the two programs, and what deadlocks over the kernel's messages deadlocks here too; probes.h
// finds that. Whoever leaves says kBye and its exit status; a connection that ends without is a member that was lost.
#pragma once

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "user/messages/probes.h"
#include "user/messages/tcp_mesh.h"
#include "user/messages/team.h"

class OverTcp : public Transport, private Probes::Line {
 public:
  OverTcp(int rank, const std::vector<int>& connections) : rank_(rank), probes_(*this, rank) {
    for (int fd : connections) peers_.push_back({.fd = fd});
  }

  int send(int rank, const void* data, uint32_t length) override {
    if (rank == rank_) return EDEADLK;
    Peer& to = peers_[rank];
    write_frame(to.fd, Frame::kOffer, length);
    to.takes = false;
    probes_.begin(rank, true, to.sent + 1);
    const int error = wait_until([&] { return to.takes; }, rank);
    probes_.end();
    if (error) return error;
    const uint32_t count = std::min(length, to.room);
    to.sent++;
    return write_frame(to.fd, Frame::kData, count) && write_all(to.fd, data, count) ? 0 : ESRCH;
  }

  Received receive(int rank, void* buffer, uint32_t room) override {
    if (rank == rank_) return {EDEADLK, rank, 0};
    int from = -1;
    if (rank != Team::kAny) probes_.begin(rank, false, peers_[rank].received);
    int error = wait_until([&] { return (from = who_offers(rank)) >= 0; }, rank);
    probes_.end();
    if (error) return {error, rank == Team::kAny ? lost() : rank, 0};
    Peer& sender = peers_[from];
    const uint32_t length = sender.length;
    sender.has_data = false;
    write_frame(sender.fd, Frame::kTake, room);
    while (error == 0 && !sender.has_data) error = take_frame(from) ? 0 : ESRCH;  // it waits for nothing else, and sends at once
    if (error == 0 && !read_all(sender.fd, buffer, std::min(length, room))) error = ESRCH;
    sender.offers = false;
    sender.received++;
    last_ = from;
    return {error, from, length};
  }

  // Says goodbye, and waits a little until the others have read it: a connection that is closed with something unread in it takes with it what
  // was on the way.
  void leave(int status) override {
    for (Peer& peer : peers_) {
      if (peer.fd < 0) continue;
      write_frame(peer.fd, Frame::kBye, static_cast<uint32_t>(status));
      shutdown(peer.fd, SHUT_WR);
    }
    std::vector<pollfd> questions;
    for (const Peer& peer : peers_)
      if (peer.fd >= 0) questions.push_back({peer.fd, POLLIN, 0});
    while (!questions.empty() && poll(questions.data(), questions.size(), 2000) > 0) {
      char rest[4096];
      std::erase_if(questions, [&](const pollfd& one) { return one.revents != 0 && recv(one.fd, rest, sizeof rest, 0) <= 0; });
    }
  }
  int status_of(int rank) override { return peers_[rank].status; }

 private:
  struct Peer {
    int fd;
    bool offers = false;    // a message of `length` bytes
    bool takes = false;     // ours, and has room for `room` bytes
    bool has_data = false;  // is sending its message
    bool has_left = false;
    uint32_t length = 0, room = 0;
    uint32_t sent = 0, received = 0;  // messages, to it and from it
    int status = 0;
  };

  // Handles what comes until `is_done`. EDEADLK: that will never be; ESRCH: `rank` has left, or, for kAny, one was lost or all have left.
  template <typename Condition>
  int wait_until(Condition is_done, int rank) {
    bool has_probed = false;
    while (!is_done()) {
      if (probes_.is_home()) return EDEADLK;
      if (rank == Team::kAny ? lost() >= 0 || is_alone() : peers_[rank].fd < 0) return ESRCH;
      std::vector<pollfd> questions;
      for (const Peer& peer : peers_) questions.push_back({peer.fd, POLLIN, 0});
      const int ready = poll(questions.data(), questions.size(), has_probed ? -1 : kProbeAfter);
      if (ready == 0) has_probed = true, probes_.start();
      for (size_t i = 0; ready > 0 && i < questions.size(); i++)
        if (questions[i].revents != 0) take_frame(static_cast<int>(i));
    }
    return 0;
  }

  // One frame from `rank`, or its end: false.
  bool take_frame(int rank) {
    Peer& peer = peers_[rank];
    Frame frame;
    if (peer.fd < 0) return false;
    if (!read_frame(peer.fd, frame)) {
      close(peer.fd);
      peer.fd = -1;
      peer.offers = false;
      if (!peer.has_left) peer.status = Team::kOtherEnded;
      return false;
    }
    switch (frame.kind) {
      case Frame::kOffer: peer.offers = true, peer.length = frame.number; break;
      case Frame::kTake: peer.takes = true, peer.room = frame.number; break;
      case Frame::kData: peer.has_data = true; break;
      case Frame::kProbe: probes_.take(rank, frame.probe); break;
      case Frame::kBye: peer.has_left = true, peer.status = static_cast<int>(frame.number); break;
      default: break;
    }
    return true;
  }

  // `rank` if it offers a message; of any, the next after the last that was served: nobody waits for ever.
  int who_offers(int rank) const {
    if (rank != Team::kAny) return peers_[rank].offers ? rank : -1;
    const int size = static_cast<int>(peers_.size());
    for (int i = 1; i <= size; i++)
      if (const int other = (last_ + i) % size; peers_[other].offers) return other;
    return -1;
  }
  int lost() const {
    for (size_t i = 0; i < peers_.size(); i++)
      if (peers_[i].status != 0) return static_cast<int>(i);
    return -1;
  }
  bool is_alone() const {
    return std::all_of(peers_.begin(), peers_.end(), [](const Peer& peer) { return peer.fd < 0; });
  }

  void pass(int to, const Probe& probe) override {
    const Frame frame = {Frame::kProbe, 0, probe};
    write_all(peers_[to].fd, &frame, sizeof frame);
  }
  bool still_waits(int from, const Probe& probe) const override {
    const Peer& peer = peers_[from];
    return probe.sends ? peer.offers && peer.received + 1 == probe.mark : peer.sent == probe.mark;
  }

  static constexpr int kProbeAfter = 100;  // ms

  const int rank_;
  int last_ = 0;
  std::vector<Peer> peers_;
  Probes probes_;
};
