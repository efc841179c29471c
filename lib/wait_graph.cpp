// Reduction of the wait graph: threads that can finish do so and give back what they hold, until nobody else can. Units that are available only
// grow, and a request that is met stays met, so the order does not matter, and each edge is taken up once: a thread counts the requests it lacks,
// and each resource keeps those for it by units, so that what comes back meets the first ones and stops at the first that is too large.
#include "lib/wait_graph.h"

#include <array>

#include "lib/panic.h"

namespace faultline {

WaitGraph::WaitGraph(std::span<Thread> threads, std::span<Resource> resources, std::span<Edge> edges)
    : threads_(threads), resources_(resources), edges_(edges) {
  ASSERT(threads.size() < kNone && resources.size() < kNone && edges.size() < kNone);
}

uint32_t WaitGraph::reduce() {
  link_for_reduction();
  for (Index i = 0; i < threads_.size(); i++) {
    if (threads_[i].missing > 0) continue;
    threads_[i].next_ready = ready_;
    ready_ = i;
  }
  for (Resource& resource : resources_) {
    resource.edges = sort_by_units(resource.edges);
    grant_available(resource);
  }
  uint32_t left = static_cast<uint32_t>(threads_.size());
  while (ready_ != kNone) {
    Thread& thread = threads_[ready_];
    ready_ = thread.next_ready;
    left--;
    finish(thread);
  }
  return left;
}

// Requests go to what they wait for, holdings to their thread.
void WaitGraph::link_for_reduction() {
  work_ += threads_.size() + resources_.size() + edges_.size();
  ready_ = anyone_ = kNone;
  for (Thread& thread : threads_) {
    thread.finishes = false;
    thread.missing = thread.wait == WaitFor::kAny ? 1 : 0;
    thread.own = thread.waiting = thread.next_ready = kNone;
  }
  for (Resource& resource : resources_) {
    resource.available = resource.units;
    resource.edges = kNone;
  }
  // From the last, so that lists have the order of the array, and are sorted if that was.
  for (size_t i = edges_.size(); i-- > 0;) {
    Edge& edge = edges_.data()[i];
    Thread& thread = threads_[edge.thread];
    Index* list = &anyone_;
    if (edge.kind == Edge::Kind::kHolds) {
      Resource& resource = resources_[edge.target];
      ASSERT(resource.available >= edge.units);
      resource.available -= edge.units;
      list = &thread.own;
    } else {
      if (thread.wait == WaitFor::kAll) thread.missing++;
      if (edge.kind == Edge::Kind::kWantsUnits) list = &resources_[edge.target].edges;
      if (edge.kind == Edge::Kind::kWantsThread) list = &threads_[edge.target].waiting;
    }
    edge.next = *list;
    *list = static_cast<Index>(i);
  }
}

void WaitGraph::finish(Thread& thread) {
  thread.finishes = true;
  work_++;
  const Edge* const edges = edges_.data();
  for (Index i = thread.own; i != kNone; i = edges[i].next) {
    work_++;
    Resource& resource = resources_.data()[edges[i].target];
    resource.available += edges[i].units;
    grant_available(resource);
  }
  meet_list(thread.waiting);
  // The first who goes on meets them all. It is another than who waits so, for who goes on only by such a request was not first.
  meet_list(anyone_);
  anyone_ = kNone;
}

// Whom it is granted to, has it for a moment: it is not taken from what is available, since whoever goes on gives it back.
void WaitGraph::grant_available(Resource& resource) {
  while (resource.edges != kNone) {
    const Edge& request = edges_.data()[resource.edges];
    if (request.units > resource.available) return;
    resource.edges = request.next;
    meet(request.thread);
  }
}

void WaitGraph::meet_list(Index list) {
  for (const Edge* const edges = edges_.data(); list != kNone; list = edges[list].next) meet(edges[list].thread);
}

// One request of a thread is met.
void WaitGraph::meet(Index index) {
  work_++;
  Thread& thread = threads_.data()[index];
  if (thread.missing == 0 || --thread.missing > 0) return;
  thread.next_ready = ready_;
  ready_ = index;
}

// Sorts a list, few units first. One that is sorted already, such as all requests for a mutex, costs one look at each; a long one is distributed by digits, and
// of others the sorted runs are merged, two of about the same size at a time. Here is most of the time of the worst graphs, so this goes by
// pointer: no number in a list is the caller's.
WaitGraph::Index WaitGraph::sort_by_units(Index list) {
  constexpr uint32_t kLong = 64;
  Edge* const edges = edges_.data();
  uint32_t count = 0, descents = 0, bits = 0;
  uint32_t before = 0;
  for (Index i = list; i != kNone; i = edges[i].next) {
    count++;
    descents += edges[i].units < before;
    before = edges[i].units;
    bits |= before;
  }
  work_ += count;
  if (descents == 0) return list;
  if (count >= kLong) return distribute(list, bits);
  std::array<Index, 7> sorted;  // [i]: nothing, or 2^i runs in one
  sorted.fill(kNone);
  static_assert(kLong <= 1u << 6);
  while (list != kNone) {
    Index run = list, last = list;
    while (edges[last].next != kNone && edges[edges[last].next].units >= edges[last].units) last = edges[last].next;
    list = edges[last].next;
    edges[last].next = kNone;
    size_t size = 0;
    for (; sorted[size] != kNone; size++) {
      run = merge(sorted[size], run);
      sorted[size] = kNone;
    }
    sorted[size] = run;
  }
  work_ += count;
  Index whole = kNone;
  for (Index part : sorted)
    if (part != kNone) whole = whole == kNone ? part : merge(part, whole);
  return whole;
}

// Radix sort from the least digit on, as far as any units have bits.
WaitGraph::Index WaitGraph::distribute(Index list, uint32_t bits) {
  constexpr uint32_t kDigitBits = 6, kDigits = 1u << kDigitBits;
  Edge* const edges = edges_.data();
  for (uint32_t shift = 0; shift < 32 && bits >> shift != 0; shift += kDigitBits) {
    std::array<Index, kDigits> first, last;
    first.fill(kNone);
    for (Index i = list; i != kNone; i = edges[i].next, work_++) {
      uint32_t digit = edges[i].units >> shift & (kDigits - 1);
      (first[digit] == kNone ? first[digit] : edges[last[digit]].next) = i;
      last[digit] = i;
    }
    list = kNone;
    for (uint32_t digit = kDigits; digit-- > 0;) {
      if (first[digit] == kNone) continue;
      edges[last[digit]].next = list;
      list = first[digit];
    }
    work_ += kDigits;
  }
  return list;
}

// Of two lists with something in each.
WaitGraph::Index WaitGraph::merge(Index first, Index second) {
  Edge* const edges = edges_.data();
  Index merged;
  Index* end = &merged;
  uint32_t compared = 0;
  for (uint32_t first_units = edges[first].units, second_units = edges[second].units;;) {
    compared++;
    if (first_units <= second_units) {
      *end = first;
      end = &edges[first].next;
      first = *end;
      if (first == kNone) break;
      first_units = edges[first].units;
    } else {
      *end = second;
      end = &edges[second].next;
      second = *end;
      if (second == kNone) break;
      second_units = edges[second].units;
    }
  }
  *end = first != kNone ? first : second;
  work_ += compared;
  return merged;
}

}  // namespace faultline
