// Search of the wait graph for a cycle, depth first, with the answer's own array as its stack. An arc leads from a thread over a resource to each of its holders, or from a
// thread to a thread; the holders of a resource are gone through once, however many wait for it, so that the search is linear in edges.
#include "lib/panic.h"
#include "lib/wait_graph.h"

namespace faultline {

namespace {

using Thread = WaitGraph::Thread;
using Resource = WaitGraph::Resource;
using Edge = WaitGraph::Edge;
using Step = WaitGraph::Step;
using Index = WaitGraph::Index;
constexpr Index kNone = WaitGraph::kNone;

enum class Arcs { kSufficient, kOfDeadlocked };
enum class Through { kAnyThread, kFirstThread };

class CycleSearch {
 public:
  CycleSearch(std::span<Thread> threads, std::span<Resource> resources, std::span<Edge> edges, std::span<Step> path, uint32_t& work)
      : threads_(threads), resources_(resources), edges_(edges), path_(path), work_(work) {
    ASSERT(path.size() >= threads.size());
  }

  // Requests go to their thread, holdings to their resource, and only those that are arcs.
  void link(Arcs arcs);
  std::span<const Step> search_from(Index start, Through through);
  std::span<const Step> search_from_all() {
    for (Index i = 0; i < threads_.size(); i++) {
      std::span<const Step> found = search_from(i, Through::kAnyThread);
      if (!found.empty()) return found;
    }
    return {};
  }

 private:
  bool is_arc(Arcs arcs, const Edge& edge) const;
  Index next_on_path();
  void enter(Index thread) {
    threads_[thread].mark = Thread::Mark::kOnPath;
    path_[length_++] = {thread, kNone};
  }
  std::span<const Step> cycle_from(Index thread);

  std::span<Thread> threads_;
  std::span<Resource> resources_;
  std::span<Edge> edges_;
  std::span<Step> path_;
  uint32_t& work_;
  size_t length_ = 0;
};

bool CycleSearch::is_arc(Arcs arcs, const Edge& edge) const {
  const Thread& thread = threads_[edge.thread];
  if (arcs == Arcs::kOfDeadlocked) {
    if (thread.finishes) return false;
    if (edge.kind == Edge::Kind::kWantsUnits) return edge.units > resources_[edge.target].available;
    return edge.kind == Edge::Kind::kHolds ? edge.units > 0 : edge.kind == Edge::Kind::kWantsThread;
  }
  if (edge.kind == Edge::Kind::kHolds) return edge.units > 0;
  if (thread.wait == WaitFor::kNothing || (thread.wait == WaitFor::kAny && thread.missing != 1)) return false;
  if (edge.kind == Edge::Kind::kWantsUnits) return edge.units > 0 && edge.units >= resources_[edge.target].units;
  return edge.kind == Edge::Kind::kWantsThread;
}

void CycleSearch::link(Arcs arcs) {
  work_ += threads_.size() + resources_.size() + 2 * edges_.size();
  for (Thread& thread : threads_) {
    thread.mark = Thread::Mark::kUnvisited;
    thread.missing = 0;
    thread.own = kNone;
  }
  for (Resource& resource : resources_) resource.edges = resource.last = kNone;
  for (const Edge& edge : edges_)
    if (edge.kind != Edge::Kind::kHolds) threads_[edge.thread].missing++;
  for (size_t i = edges_.size(); i-- > 0;) {
    Edge& edge = edges_[i];
    if (!is_arc(arcs, edge)) continue;
    Index& list = edge.kind == Edge::Kind::kHolds ? resources_[edge.target].edges : threads_[edge.thread].own;
    edge.next = list;
    list = static_cast<Index>(i);
  }
}

std::span<const Step> CycleSearch::search_from(Index start, Through through) {
  if (threads_[start].mark != Thread::Mark::kUnvisited) return {};
  enter(start);
  while (length_ > 0) {
    Index next = next_on_path();
    if (next == kNone) {
      threads_[path_[--length_].thread].mark = Thread::Mark::kDone;
    } else if (threads_[next].mark == Thread::Mark::kUnvisited) {
      enter(next);
    } else if (threads_[next].mark == Thread::Mark::kOnPath && (through == Through::kAnyThread || next == start)) {
      return cycle_from(next);
    }
  }
  return {};
}

// The next thread that the path's last one waits for: kNone after all. If another looked at holders of the same resource before, the last one it saw comes first: it is
// the one that may be on the path, from there to here; the others are done with.
Index CycleSearch::next_on_path() {
  Step& step = path_[length_ - 1];
  Thread& thread = threads_[step.thread];
  while (thread.own != kNone) {
    work_++;
    const Edge& edge = edges_[thread.own];
    if (edge.kind == Edge::Kind::kWantsThread) {
      step.resource = kNone;
      thread.own = edge.next;
      return edge.target;
    }
    Resource& resource = resources_[edge.target];
    if (step.resource != edge.target) {
      step.resource = edge.target;
      if (resource.last != kNone) return edges_[resource.last].thread;
    }
    if (resource.edges != kNone) {
      resource.last = resource.edges;
      resource.edges = edges_[resource.last].next;
      return edges_[resource.last].thread;
    }
    step.resource = kNone;
    thread.own = edge.next;
  }
  return kNone;
}

// The path from `thread` on, moved to its beginning.
std::span<const Step> CycleSearch::cycle_from(Index thread) {
  size_t first = length_;
  while (path_[--first].thread != thread) work_++;
  size_t length = length_ - first;
  for (size_t i = 0; i < length; i++) path_[i] = path_[first + i];
  work_ += length;
  return path_.first(length);
}

}  // namespace

std::span<const Step> WaitGraph::find_cycle(std::span<Step> room) {
  CycleSearch search(threads_, resources_, edges_, room, work_);
  search.link(Arcs::kSufficient);
  return search.search_from_all();
}

std::span<const Step> WaitGraph::find_cycle_through(Index thread, std::span<Step> room) {
  CycleSearch search(threads_, resources_, edges_, room, work_);
  search.link(Arcs::kSufficient);
  return search.search_from(thread, Through::kFirstThread);
}

std::span<const Step> WaitGraph::find_cycle_of_deadlocked(std::span<Step> room) {
  CycleSearch search(threads_, resources_, edges_, room, work_);
  search.link(Arcs::kOfDeadlocked);
  return search.search_from_all();
}

}  // namespace faultline
