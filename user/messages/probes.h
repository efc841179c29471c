// Finding deadlocks where nobody sees all waits: Chandy, Misra and Haas, "Distributed deadlock detection" (1983), edge chasing.
//
// Whoever waits for one other rank for a while sends it a probe with its own rank in it. Whoever gets a probe, and waits for one rank itself,
// sends it on to that. A probe that comes home has gone round a circle of ranks that wait, each for the next: none of them can ever go on.
//
// So that this is never said in error, a probe says which wait it follows (`mark`), and whoever gets it first looks whether that other still
// waits: only itself could have ended that wait, so it knows. So that it is said once, a rank drops the probes of lower ones, and only the
// highest of a circle hears. A rank that waits for anybody sends nothing on: there is always another that may come.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

struct Probe {
  uint32_t initiator, wait;  // whose it is, and the number of its wait
  uint32_t mark;             // of the last wait on the way: the number of the message that it sends, or the count of those it has received
  uint32_t sends;            // whether that is a wait in send, rather than in receive
};

class Probes {
 public:
  // What the probes travel on, and what it knows of those who wait for this rank.
  class Line {
   public:
    virtual ~Line() = default;
    virtual void pass(int to, const Probe& probe) = 0;
    virtual bool still_waits(int from, const Probe& probe) const = 0;
  };

  Probes(Line& line, int rank) : line_(line), rank_(static_cast<uint32_t>(rank)) {}

  // This rank waits for `on`, from now until end().
  void begin(int on, bool sends, uint32_t mark) {
    on_ = on, sends_ = sends, mark_ = mark;
    number_++;
    passed_.clear();
    const std::vector<Kept> kept = std::move(kept_);
    kept_.clear();
    for (const Kept& one : kept) take(one.from, one.probe);
  }
  void end() { on_ = -1; }
  // It has waited for a while.
  void start() {
    if (on_ >= 0) line_.pass(on_, {rank_, number_, mark_, sends_});
  }

  // A probe has come from `from`. Returns whether it came home: the wait will never end.
  bool take(int from, const Probe& probe) {
    if (!line_.still_waits(from, probe)) return false;
    if (on_ == from && sends_ != (probe.sends != 0)) return false;  // one sends what the other receives: they are about to meet
    if (probe.initiator == rank_) return is_home_ = is_home_ || (on_ >= 0 && probe.wait == number_);
    if (probe.initiator < rank_) return false;
    // Should this wait end and another begin while that one waits on, the probe goes on from there.
    std::erase_if(kept_, [&](const Kept& one) { return one.from == from && one.probe.initiator == probe.initiator; });
    kept_.push_back({from, probe});
    const auto is_passed = [&](const Probe& one) { return one.initiator == probe.initiator && one.wait == probe.wait; };
    if (on_ < 0 || std::any_of(passed_.begin(), passed_.end(), is_passed)) return false;
    passed_.push_back(probe);
    line_.pass(on_, {probe.initiator, probe.wait, mark_, sends_});
    return false;
  }
  bool is_home() const { return is_home_; }

 private:
  struct Kept {
    int from;
    Probe probe;
  };

  Line& line_;
  const uint32_t rank_;
  int on_ = -1;  // the rank that is waited for
  bool sends_ = false, is_home_ = false;
  uint32_t mark_ = 0, number_ = 0;
  std::vector<Kept> kept_;     // of those who wait for this rank, as far as known
  std::vector<Probe> passed_;  // during this wait
};
