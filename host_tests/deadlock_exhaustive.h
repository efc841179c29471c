// Deadlock by exhaustive search, to judge lib/wait_graph.h and lib/banker.h by: small worlds of threads or processes, made at random from a seed, of which all
// orders are tried in which they can finish, and all paths of waiting are walked. Written from the definitions, and knows nothing of the code it judges.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <optional>

namespace faultline {

// A generator that costs nothing to seed, so that each world has a seed of its own (splitmix64).
class SmallRandom {
 public:
  explicit SmallRandom(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15) {}
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>((next() >> 32) * bound >> 32); }
  uint32_t between(uint32_t least, uint32_t most) { return least + below(most - least + 1); }
  bool percent(uint32_t chance) { return below(100) < chance; }

 private:
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

// What is asked of FAULTLINE_GRAPHS (how many worlds, 100,000) and FAULTLINE_GRAPH_SEED (that one only).
struct Seeds {
  uint64_t first, end;
};
Seeds world_seeds();

constexpr uint32_t kMostThreads = 5, kMostResources = 4;
using ThreadSet = uint32_t;  // bit t: thread t

// Threads, what they hold and what they wait for.
struct WaitWorld {
  enum class Kind { kMixed, kSingleUnitsAllWaits };
  enum class Wait { kNothing, kAll, kAny };
  uint32_t threads = 0, resources = 0;
  std::array<uint32_t, kMostResources> units = {};
  struct Thread {
    Wait wait = Wait::kNothing;
    std::array<uint32_t, kMostResources> held = {}, wanted = {};  // units; 0: does not want any
    ThreadSet wants_threads = 0;
    bool wants_anyone = false;
  };
  std::array<Thread, kMostThreads> thread = {};

  static WaitWorld random(uint64_t seed, Kind kind);

  // Who finishes in some order.
  ThreadSet who_can_finish() const;

  // An arc of waiting: over a resource, or (no resource) to a thread itself.
  enum class Arcs { kSufficient, kOfDeadlocked };
  bool waits_for(Arcs arcs, uint32_t waiter, std::optional<uint32_t> resource, uint32_t holder) const;
  // Through which threads there is a cycle of these.
  ThreadSet on_cycles(Arcs arcs) const;

 private:
  using Waits = std::array<ThreadSet, kMostThreads>;  // [t]: for whom t waits
  bool is_met(uint32_t waiter, ThreadSet finished, uint32_t resource) const;
  bool waits_for(Arcs arcs, ThreadSet finish, uint32_t waiter, std::optional<uint32_t> resource, uint32_t holder) const;
  bool can_finish(uint32_t waiter, ThreadSet finished) const;
  void try_orders(ThreadSet finished, std::array<bool, 1u << kMostThreads>& tried) const;
  bool leads_to(const Waits& waits, uint32_t from, uint32_t to, ThreadSet path) const;
  uint32_t number_of_requests(uint32_t waiter) const;
};
std::ostream& operator<<(std::ostream& out, const WaitWorld& world);

// Processes, what they hold and what they have claimed.
struct BankerWorld {
  uint32_t processes = 0, kinds = 0;
  std::array<uint32_t, kMostResources> available = {};
  struct Process {
    std::array<uint32_t, kMostResources> claim = {}, held = {};
  };
  std::array<Process, kMostThreads> process = {};

  static BankerWorld random(uint64_t seed);

  // Whether there is an order in which all can have their whole claims.
  bool is_safe() const;

 private:
  bool all_can_finish(ThreadSet finished) const;
};
std::ostream& operator<<(std::ostream& out, const BankerWorld& world);

}  // namespace faultline
