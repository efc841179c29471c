// See lock_classes.h. The graph is a matrix of bits, looked at without a lock: an edge that is there already, as almost always, costs a load.
#include "lib/lock_classes.h"

#include <array>

#include "lib/lock.h"

#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG

namespace faultline {

uint64_t lock_hold_limit = ~0ull;

namespace {

constexpr uint32_t kClasses = 96, kBits = 32, kMostEdges = 512, kMostLongHolds = 8;
static_assert(static_cast<uint32_t>(LockRank::kLeaf) < kClasses);

// The first time that `to` was waited for with `from` held.
struct Edge {
  LockRank from, to;
  StackTrace held_at, taken_at;
};

class Guard {
 public:
  explicit Guard(TicketLock& lock) : state_(machine::interrupts_save_and_disable()), lock_(lock) { lock_.lock_raw(); }
  ~Guard() {
    lock_.unlock_raw();
    machine::interrupts_restore(state_);
  }

 private:
  uint32_t state_;
  TicketLock& lock_;
};

struct Learnt {
  TicketLock lock;  // everything but `follows`, whose bits are only ever set
  Atomic<uint32_t> follows[kClasses][kClasses / kBits];
  std::array<Edge, kMostEdges> edges;
  uint32_t edge_count;
  // By TakenIn.
  Atomic<bool> is_taken_in[2][kClasses];
  StackTrace taken_in[2][kClasses];
  std::array<LongHold, kMostLongHolds> long_holds;
  uint32_t long_hold_count;
};
constinit Learnt learnt{};

uint32_t index_of(LockRank rank) { return static_cast<uint32_t>(rank); }
bool follows(uint32_t from, uint32_t to) { return learnt.follows[from][to / kBits].load(memory_order_relaxed) & 1u << to % kBits; }

const Edge* edge_of(uint32_t from, uint32_t to) {
  for (uint32_t i = 0; i < learnt.edge_count; i++)
    if (index_of(learnt.edges[i].from) == from && index_of(learnt.edges[i].to) == to) return &learnt.edges[i];
  return nullptr;
}

// The classes that lead from one to another, one step before each; or none.
bool find_way(uint32_t from, uint32_t to, std::array<uint8_t, kClasses>& before) {
  std::array<uint8_t, kClasses> reached{};
  uint32_t count = 0;
  std::array<bool, kClasses> is_reached{};
  reached[count++] = static_cast<uint8_t>(from);
  is_reached[from] = true;
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t next = 0; next < kClasses; next++) {
      if (is_reached[next] || !follows(reached[i], next)) continue;
      is_reached[next] = true;
      before[next] = reached[i];
      if (next == to) return true;
      reached[count++] = static_cast<uint8_t>(next);
    }
  return false;
}

// `held` → `wanted` is new, and wanted → … → held has been seen.
[[noreturn]] void report_circle(LockRank held, const StackTrace& held_at, LockRank wanted, const std::array<uint8_t, kClasses>& before) {
  const uint32_t end = index_of(held);
  const Edge* last = edge_of(before[end], end);
  const PanicNote notes[] = {
      {"waits for", lock_rank_name(wanted), nullptr},
      {"while it holds", lock_rank_name(held), &held_at},
      {"which was waited for earlier at", "", last ? &last->taken_at : nullptr},
      {"with this held:", lock_rank_name(static_cast<LockRank>(before[end])), last ? &last->held_at : nullptr},
  };
  panic_with_notes(__FILE__, __LINE__, "lock classes: two orders, which can deadlock", notes, sizeof notes / sizeof *notes);
}

void learn(LockRank held, const StackTrace& held_at, LockRank wanted) {
  Guard guard(learnt.lock);
  const uint32_t from = index_of(held), to = index_of(wanted);
  if (follows(from, to)) return;
  if (std::array<uint8_t, kClasses> before; find_way(to, from, before)) report_circle(held, held_at, wanted, before);
  learnt.follows[from][to / kBits].fetch_or(1u << to % kBits, memory_order_relaxed);
  if (learnt.edge_count == kMostEdges) return;
  Edge& edge = learnt.edges[learnt.edge_count++];
  edge.from = held;
  edge.to = wanted;
  edge.held_at = held_at;
  stack_trace_here(edge.taken_at);
}

}  // namespace

void lock_class_follows(LockRank held, const StackTrace& held_at, LockRank rank) {
  // Of locks of one class the graph can say nothing: a directory's and its parent's are taken in the order of the tree.
  if (held != rank && !follows(index_of(held), index_of(rank))) learn(held, held_at, rank);
}

void lock_class_taken(LockRank rank, TakenIn where) {
  const uint32_t here = static_cast<uint32_t>(where), other = 1 - here;
  if (!learnt.is_taken_in[here][index_of(rank)].load(memory_order_relaxed)) {
    Guard guard(learnt.lock);
    stack_trace_here(learnt.taken_in[here][index_of(rank)]);
    learnt.is_taken_in[here][index_of(rank)].store(true, memory_order_relaxed);
  }
  if (!learnt.is_taken_in[other][index_of(rank)].load(memory_order_relaxed)) return;
  const bool in_interrupt = where == TakenIn::kInterrupt;
  const PanicNote notes[] = {
      {"of class", lock_rank_name(rank), nullptr},
      {in_interrupt ? "taken with interrupts on at" : "taken in an interrupt at", "", &learnt.taken_in[other][index_of(rank)]}};
  panic_with_notes(__FILE__, __LINE__, "lock classes: a lock taken in an interrupt, and also with interrupts on", notes, 2);
}

void lock_long_hold_note(const LongHold& hold) {
  Guard guard(learnt.lock);
  if (learnt.long_hold_count < kMostLongHolds) learnt.long_holds[learnt.long_hold_count++] = hold;
}

bool lock_long_hold_take(LongHold& hold) {
  Guard guard(learnt.lock);
  if (learnt.long_hold_count == 0) return false;
  hold = learnt.long_holds[0];
  for (uint32_t i = 1; i < learnt.long_hold_count; i++) learnt.long_holds[i - 1] = learnt.long_holds[i];
  learnt.long_hold_count--;
  return true;
}

void lock_classes_forget() {
  Guard guard(learnt.lock);
  for (auto& row : learnt.follows)
    for (auto& word : row) word.store(0, memory_order_relaxed);
  for (auto& where : learnt.is_taken_in)
    for (auto& is_taken : where) is_taken.store(false, memory_order_relaxed);
  learnt.edge_count = learnt.long_hold_count = 0;
}

}  // namespace faultline

#endif
