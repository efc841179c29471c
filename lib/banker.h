// The Banker's algorithm (Dijkstra, EWD 108; for several kinds of resources: Habermann, "Prevention of system deadlocks", 1969), row G5. Each process declares beforehand
// the most it will ever hold of each kind; units are granted only while the state stays safe: while all processes can get their whole claims one after
// the other, in some order, out of what is available and what those before them give back. Then no order of requests ends in deadlock.
//
// The numbers are in arrays of the caller, and so is the working memory, 4 bytes a process: nothing here allocates, recurses or fails. A question
// looks at processes * kinds numbers, and a process that waits is taken out of a heap at most once for each kind.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace faultline {

enum class BankerAnswer : uint8_t {
  kGrant,        // the state after it is safe
  kUnavailable,  // there are not as many units now
  kUnsafe,       // there are, but the state after it would not be safe
  kNever,        // a request beyond the claim; a claim of more than there is or less than is held
};

class Banker {
 public:
  static constexpr uint32_t kMostKinds = 16, kMostProcesses = 0xffff;

  struct State {
    std::span<uint32_t> available;  // of each kind; there are as many kinds as it is long
    // Line after line: of process p and kind k at [p * kinds + k]. Nobody holds more than it claims. A line of zeros is in nobody's way.
    std::span<uint32_t> claims, held;
  };
  struct Node {
    uint16_t first_child, next_sibling;
  };

  // One of `nodes` for each process. All of it is used until this ends, and only while a question is asked changed. Of a kind there are at most 2^32 - 1 units.
  Banker(const State& state, std::span<Node> nodes);

  bool is_safe();

  // Whether `process` may have `units` (of each kind) beside what it holds. It is for the caller to grant them then.
  BankerAnswer decide_request(uint32_t process, std::span<const uint32_t> units);

  // Whether the claim of `process`, be it new or not, may be `claim` from now on; its requests will be decided by decide_request().
  BankerAnswer decide_claim(uint32_t process, std::span<const uint32_t> claim);

  // Whether all claims together, with `claim` for that of `process`, are no more than there is. Where processes start only then (denial of
  // initiation), each request can be granted at once, and fewer processes run.
  bool claims_fit(uint32_t process, std::span<const uint32_t> claim) const;

  // How many numbers were looked at so far, each time counted.
  uint32_t work() const { return work_; }

 private:
  static constexpr uint16_t kNone = 0xffff;
  using Units = std::array<uint32_t, kMostKinds>;

  uint32_t need(uint16_t process, uint32_t kind) {
    work_++;
    uint32_t at = process * kinds_ + kind;  // which no array's check would tell from another's line
    return state_.claims.data()[at] - state_.held.data()[at];
  }
  void finish(uint16_t process);
  void wait_or_finish(uint16_t process, uint32_t first_kind);
  uint16_t meld(uint16_t first, uint16_t second, uint32_t kind);
  uint16_t without_first(uint16_t heap, uint32_t kind);
  Units all_units() const;

  const State state_;
  const std::span<Node> nodes_;
  const uint32_t kinds_;
  // Of the question that is asked.
  Units free_;                                // what is available, and has been given back
  std::array<uint16_t, kMostKinds> waiting_;  // heaps of who needs more of this kind than there is, and has enough of those before
  uint16_t ready_ = kNone;                    // list of those who can finish and have not yet
  uint32_t work_ = 0;
};

}  // namespace faultline
