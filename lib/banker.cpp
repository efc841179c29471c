// Safety is found out by letting processes finish until nobody can. What is free only grows, so a kind of which a process once can have enough need not be looked at again: each waits
// for one kind at a time, in a pairing heap with the least need first, and goes on to the next kind when it gets out.
#include "lib/banker.h"

#include "lib/panic.h"

namespace faultline {

Banker::Banker(const State& state, std::span<Node> nodes)
    : state_(state), nodes_(nodes), kinds_(static_cast<uint32_t>(state.available.size())) {
  ASSERT(kinds_ <= kMostKinds && nodes.size() <= kMostProcesses);
  ASSERT(state.claims.size() == nodes.size() * kinds_ && state.held.size() == state.claims.size());
}

bool Banker::is_safe() {
  for (uint32_t kind = 0; kind < kinds_; kind++) free_[kind] = state_.available[kind];
  waiting_.fill(kNone);
  ready_ = kNone;
  for (uint32_t process = 0; process < nodes_.size(); process++) wait_or_finish(static_cast<uint16_t>(process), 0);
  size_t left = nodes_.size();
  while (ready_ != kNone) {
    uint16_t process = ready_;
    ready_ = nodes_[process].next_sibling;
    left--;
    finish(process);
  }
  return left == 0;
}

// Gives back what the process holds, and takes from the heaps who has enough now.
void Banker::finish(uint16_t process) {
  const uint32_t* const held = state_.held.data() + process * kinds_;
  for (uint32_t kind = 0; kind < kinds_; kind++) free_[kind] += held[kind];
  work_ += kinds_;
  for (uint32_t kind = 0; kind < kinds_; kind++) {
    if (held[kind] == 0) continue;
    while (waiting_[kind] != kNone && need(waiting_[kind], kind) <= free_[kind]) {
      uint16_t next = waiting_[kind];
      waiting_[kind] = without_first(next, kind);
      wait_or_finish(next, kind + 1);
    }
  }
}

// The process has enough of all kinds before this one.
void Banker::wait_or_finish(uint16_t process, uint32_t first_kind) {
  for (uint32_t kind = first_kind; kind < kinds_; kind++) {
    if (need(process, kind) <= free_[kind]) continue;
    nodes_[process].first_child = kNone;
    waiting_[kind] = waiting_[kind] == kNone ? process : meld(waiting_[kind], process, kind);
    return;
  }
  nodes_[process].next_sibling = ready_;
  ready_ = process;
}

// Two heaps become one: the root with the larger need is the first child of the other. A root's sibling means nothing.
uint16_t Banker::meld(uint16_t first, uint16_t second, uint32_t kind) {
  bool in_order = need(first, kind) <= need(second, kind);
  uint16_t above = in_order ? first : second, below = in_order ? second : first;
  nodes_[below].next_sibling = nodes_[above].first_child;
  nodes_[above].first_child = below;
  return above;
}

// The children melt in pairs from the left, and the pairs into one from the right: logarithmic, on average over a heap's life.
uint16_t Banker::without_first(uint16_t heap, uint32_t kind) {
  uint16_t pairs = kNone;
  for (uint16_t child = nodes_[heap].first_child; child != kNone;) {
    uint16_t pair = child, other = nodes_[child].next_sibling;
    child = other == kNone ? kNone : nodes_[other].next_sibling;
    if (other != kNone) pair = meld(pair, other, kind);
    nodes_[pair].next_sibling = pairs;
    pairs = pair;
  }
  uint16_t whole = pairs;
  if (whole != kNone) pairs = nodes_[whole].next_sibling;
  while (pairs != kNone && whole != kNone) {
    uint16_t next = nodes_[pairs].next_sibling;
    whole = meld(whole, pairs, kind);
    pairs = next;
  }
  return whole;
}

BankerAnswer Banker::decide_request(uint32_t process, std::span<const uint32_t> units) {
  std::span<uint32_t> held = state_.held.subspan(process * kinds_, kinds_);
  bool available = true;
  for (uint32_t kind = 0; kind < kinds_; kind++) {
    if (units[kind] > state_.claims[process * kinds_ + kind] - held[kind]) return BankerAnswer::kNever;
    if (units[kind] > state_.available[kind]) available = false;
  }
  if (!available) return BankerAnswer::kUnavailable;
  for (uint32_t kind = 0; kind < kinds_; kind++) {
    state_.available[kind] -= units[kind];
    held[kind] += units[kind];
  }
  bool safe = is_safe();
  for (uint32_t kind = 0; kind < kinds_; kind++) {
    state_.available[kind] += units[kind];
    held[kind] -= units[kind];
  }
  return safe ? BankerAnswer::kGrant : BankerAnswer::kUnsafe;
}

BankerAnswer Banker::decide_claim(uint32_t process, std::span<const uint32_t> claim) {
  std::span<uint32_t> own = state_.claims.subspan(process * kinds_, kinds_);
  Units all = all_units(), before = {};
  for (uint32_t kind = 0; kind < kinds_; kind++)
    if (claim[kind] > all[kind] || claim[kind] < state_.held[process * kinds_ + kind]) return BankerAnswer::kNever;
  for (uint32_t kind = 0; kind < kinds_; kind++) {
    before[kind] = own[kind];
    own[kind] = claim[kind];
  }
  bool safe = is_safe();
  for (uint32_t kind = 0; kind < kinds_; kind++) own[kind] = before[kind];
  return safe ? BankerAnswer::kGrant : BankerAnswer::kUnsafe;
}

bool Banker::claims_fit(uint32_t process, std::span<const uint32_t> claim) const {
  Units left = all_units();
  for (uint32_t each = 0; each < nodes_.size(); each++) {
    for (uint32_t kind = 0; kind < kinds_; kind++) {
      uint32_t claimed = each == process ? claim[kind] : state_.claims[each * kinds_ + kind];
      if (claimed > left[kind]) return false;
      left[kind] -= claimed;
    }
  }
  return true;
}

Banker::Units Banker::all_units() const {
  Units all = {};
  for (uint32_t kind = 0; kind < kinds_; kind++) all[kind] = state_.available[kind];
  for (size_t i = 0; i < state_.held.size(); i += kinds_)
    for (uint32_t kind = 0; kind < kinds_; kind++) all[kind] += state_.held[i + kind];
  return all;
}

}  // namespace faultline
