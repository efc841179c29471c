// The probes of user/messages/probes.h in random teams, whose frames arrive as late as chance wants: what they say is compared with the waits as
// they are, which no rank can see.
#include "user/messages/probes.h"

#include <deque>
#include <memory>
#include <random>

#include <gtest/gtest.h>

namespace {

constexpr int kAny = -1;

struct Frame {
  enum Kind { kOffer, kTake, kData, kProbe } kind;
  Probe probe;
};

// A rank that sends to and receives from others at random, with the frames of user/messages/over_tcp.h.
struct Rank : Probes::Line {
  enum State { kRuns, kSends, kReceives, kTakes, kEnded };
  struct Peer {
    bool offers = false;
    uint32_t sent = 0, received = 0;
    std::deque<Frame> inbox;  // on its way from that peer
  };

  Rank(int number, int size) : rank(number), peers(size), probes(*this, number) {}
  void pass(int to, const Probe& probe) override { put(to, {Frame::kProbe, probe}); }
  bool still_waits(int from, const Probe& probe) const override {
    const Peer& peer = peers[from];
    return probe.sends ? peer.offers && peer.received + 1 == probe.mark : peer.sent == probe.mark;
  }
  void put(int to, Frame frame) { (*team)[to]->peers[rank].inbox.push_back(frame); }
  bool waits() const { return state == kSends || state == kReceives || state == kTakes; }

  const int rank;
  State state = kRuns;
  int on = kAny, operations_left = 0;
  bool has_probed = false;
  std::vector<Peer> peers;
  Probes probes;
  std::vector<std::unique_ptr<Rank>>* team = nullptr;
};

class Simulation {
 public:
  Simulation(unsigned seed, int size) : random_(seed) {
    for (int i = 0; i < size; i++) team_.push_back(std::make_unique<Rank>(i, size));
    for (auto& rank : team_) rank->team = &team_, rank->operations_left = 1 + below(30);
  }

  // Until nothing can happen any more. Returns the number of ranks that heard of a deadlock.
  int run() {
    int heard = 0;
    while (do_something()) {
      int now = 0;
      for (const auto& rank : team_) now += rank->probes.is_home();
      EXPECT_EQ(circles_heard_of(), now) << "a deadlock that is none";
      heard = now;
    }
    return heard;
  }

  int circles() const {
    return count_circles([](const Rank&) { return true; });
  }

 private:
  int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }

  // Whether `rank` waits for one that has done nothing yet to end that wait, and which.
  int waits_for(const Rank& rank) const {
    if (rank.state == Rank::kSends) {
      for (const Frame& frame : rank.peers[rank.on].inbox)
        if (frame.kind == Frame::kTake) return kAny;
      return rank.on;
    }
    if (rank.state != Rank::kReceives || rank.on == kAny) return kAny;
    for (const Frame& frame : rank.peers[rank.on].inbox)
      if (frame.kind == Frame::kOffer) return kAny;
    return rank.peers[rank.on].offers ? kAny : rank.on;
  }

  // Circles in what all wait for, counted at their highest rank when that is `counted`.
  template <typename Condition>
  int count_circles(Condition counted) const {
    int count = 0;
    for (const auto& begin : team_) {
      int at = waits_for(*begin), highest = begin->rank;
      for (size_t steps = 0; at != kAny && at != begin->rank && steps < team_.size(); steps++) {
        highest = std::max(highest, at);
        at = waits_for(*team_[at]);
      }
      if (at == begin->rank && highest == begin->rank && !is_about_to_meet(*begin)) count += counted(*begin);
    }
    return count;
  }
  int circles_heard_of() const {
    return count_circles([](const Rank& rank) { return rank.probes.is_home(); });
  }
  // Two that wait for each other, one to send, the other to receive.
  bool is_about_to_meet(const Rank& rank) const {
    const Rank& other = *team_[rank.on];
    return other.on == rank.rank && rank.state != other.state;
  }

  bool do_something() {
    std::vector<std::pair<int, int>> choices;  // (rank, from whom it gets a frame), or -1: its next operation or its own probe
    for (const auto& rank : team_) {
      if (rank->state == Rank::kRuns || (rank->waits() && !rank->has_probed)) choices.emplace_back(rank->rank, -1);
      for (int from = 0; rank->waits() && from < static_cast<int>(team_.size()); from++)
        if (!rank->peers[from].inbox.empty()) choices.emplace_back(rank->rank, from);
    }
    if (choices.empty()) return false;
    const auto [number, from] = choices[below(static_cast<int>(choices.size()))];
    Rank& rank = *team_[number];
    if (from >= 0) {
      take(rank, from);
    } else if (rank.waits()) {
      rank.has_probed = true;
      rank.probes.start();
    } else if (rank.operations_left-- == 0) {
      rank.state = Rank::kEnded;
    } else {
      begin(rank);
    }
    if (rank.state == Rank::kReceives) look_for_offer(rank);
    return true;
  }

  void begin(Rank& rank) {
    rank.on = (rank.rank + 1 + below(static_cast<int>(team_.size()) - 1)) % static_cast<int>(team_.size());
    rank.has_probed = false;
    const int what = below(8);
    if (what < 3) {
      rank.state = Rank::kSends;
      rank.put(rank.on, {Frame::kOffer, {}});
      rank.probes.begin(rank.on, true, rank.peers[rank.on].sent + 1);
      return;
    }
    rank.state = Rank::kReceives;
    if (what == 3)
      rank.on = kAny;
    else
      rank.probes.begin(rank.on, false, rank.peers[rank.on].received);
  }

  void look_for_offer(Rank& rank) {
    for (int from = 0; from < static_cast<int>(team_.size()); from++) {
      if (!rank.peers[from].offers || (rank.on != kAny && rank.on != from)) continue;
      rank.probes.end();
      rank.put(from, {Frame::kTake, {}});
      rank.state = Rank::kTakes;
      rank.on = from;
      rank.has_probed = true;
      return;
    }
  }

  void take(Rank& rank, int from) {
    Rank::Peer& peer = rank.peers[from];
    const Frame frame = peer.inbox.front();
    peer.inbox.pop_front();
    switch (frame.kind) {
      case Frame::kOffer: peer.offers = true; break;
      case Frame::kProbe: rank.probes.take(from, frame.probe); break;
      case Frame::kTake:
        rank.probes.end();
        rank.put(from, {Frame::kData, {}});
        peer.sent++;
        rank.state = Rank::kRuns;
        break;
      case Frame::kData:
        peer.offers = false;
        peer.received++;
        rank.state = Rank::kRuns;
        break;
    }
  }

  std::minstd_rand random_;
  std::vector<std::unique_ptr<Rank>> team_;
};

TEST(Probes, ExactlyOneOfEachCircleHearsOfItAndNobodyElse) {
  int deadlocks = 0, several = 0, none = 0;
  for (unsigned seed = 1; seed <= 5000 && !HasFailure(); seed++) {
    SCOPED_TRACE(seed);
    Simulation simulation(seed, 2 + static_cast<int>(seed % 7));
    const int heard = simulation.run();
    EXPECT_EQ(heard, simulation.circles());
    deadlocks += heard == 1, several += heard > 1, none += heard == 0;
  }
  EXPECT_GT(deadlocks, 1000);
  EXPECT_GT(several, 100);
  EXPECT_GT(none, 100);
}

}  // namespace
