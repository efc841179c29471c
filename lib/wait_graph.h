// Who waits for whom: the resource-allocation graph of one moment, and the two ways to find deadlock in it. A cycle, where each resource has one
// unit or is wanted whole; and reduction ("simulate threads finishing") for resources of many units, waits for ANY of several things, and messages.
//
// The caller fills three arrays, a snapshot taken under one lock, and may take its time over them afterwards: nothing here allocates, recurses or
// fails. 1,000 threads, 1,000 resources and 4,000 edges are 72,000 bytes. Each question takes time in proportion to threads + resources +
// edges, plus sorting the requests of each resource that is asked for in different amounts.
//
// What a thread waits for is a list of requests: units of a resource, or that another thread acts (it must receive what this one sends, send what this
// one receives, unlock a record). It goes on when it has ALL of them, or ANY one of them. Reduction is hopeful: who goes on does every thing that is
// waited for, sends each message, gives back each unit. So whom it leaves is deadlocked for certain, unless something ends the wait from outside the graph.
// Who waits with a time-out, for a device, or for what is not in the graph is therefore WaitFor::kNothing: it goes on by itself.
//
// A message from ANY thread is a request for "anyone": it is met as soon as one other thread can go on, blocked or not now. It is judged deadlocked only if
// no thread of the snapshot can go on at all; so never while one is WaitFor::kNothing. A snapshot that leaves out threads which might send must
// have one WaitFor::kNothing to stand for them; and where a signal or interrupt may come from outside the graph, that is for the caller to weigh.
//
// What else fits: a lock for readers and writers is a resource of N units, one for a reader, N for a writer, N - 1 more for an upgrade; a process that any
// of its threads may answer for, or (A and (B or C)), is a thread of the snapshot's own that waits for ANY of several and for which others wait.
#pragma once

#include <cstdint>
#include <span>

namespace faultline {

enum class WaitFor : uint8_t {
  kNothing,  // not blocked, or something outside the graph ends the wait; requests of its own count for nothing
  kAll,      // all of its requests (none: goes on)
  kAny,      // one of its requests (none: never goes on)
};

class WaitGraph {
 public:
  // Threads, resources and edges are numbers of these arrays; each has less than kNone.
  using Index = uint16_t;
  static constexpr Index kNone = 0xffff;

  struct Thread {
    WaitFor wait = WaitFor::kNothing;
    // The rest is working memory.
    enum class Mark : uint8_t { kUnvisited, kOnPath, kDone };
    Mark mark = Mark::kUnvisited;
    bool finishes = false;  // reduction's answer
    uint16_t missing = 0;   // requests that must still be met; for a cycle: how many there are
    Index own = kNone;      // edges: what it holds; for a cycle: what it still has to be looked at for
    Index waiting = kNone;  // edges: requests that it acts
    Index next_ready = kNone;
  };
  struct Resource {
    uint32_t units = 1;
    // The rest is working memory.
    uint32_t available = 0;
    Index edges = kNone;  // requests for it that are not met, few units first; for a cycle: holders that have still to be looked at
    Index last = kNone;   // for a cycle: the last holder that was looked at
  };
  struct Edge {
    enum class Kind : uint8_t { kHolds, kWantsUnits, kWantsThread, kWantsAnyone };
    uint32_t units;
    Index thread;
    Index target;  // a resource; for kWantsThread a thread
    Index next;    // working memory
    Kind kind;
  };

  // Of one resource a thread may hold units by several edges, whose sum counts; of several requests for it the largest counts.
  static constexpr Edge holds(Index thread, Index resource, uint32_t units = 1) {
    return {units, thread, resource, kNone, Edge::Kind::kHolds};
  }
  static constexpr Edge wants(Index thread, Index resource, uint32_t units = 1) {
    return {units, thread, resource, kNone, Edge::Kind::kWantsUnits};
  }
  static constexpr Edge wants_thread(Index thread, Index who) { return {0, thread, who, kNone, Edge::Kind::kWantsThread}; }
  static constexpr Edge wants_anyone(Index thread) { return {0, thread, kNone, kNone, Edge::Kind::kWantsAnyone}; }

  // Uses all three until it ends. No resource may be held beyond its units.
  WaitGraph(std::span<Thread> threads, std::span<Resource> resources, std::span<Edge> edges);

  // Row G4: lets everyone who can finish do so, and returns how many cannot, by deadlock or behind one.
  uint32_t reduce();
  // After reduce().
  bool is_deadlocked(Index thread) const { return !threads_[thread].finishes; }

  // "The thread waits for the resource, which the thread of the next step holds (of the last step, that of the first)"; kNone: it waits for that thread itself.
  struct Step {
    Index thread;
    Index resource;
  };
  // Row G3: one cycle of waits each of which deadlocks by itself, or none (empty). Such a wait is for a thread, or for all units of a resource, by a thread that
  // waits for ALL or has one request only. `room` is as long as there are threads, and the answer is its beginning.
  std::span<const Step> find_cycle(std::span<Step> room);
  // The same, of cycles through one thread, which is the first step: whether this wait closed one.
  std::span<const Step> find_cycle_through(Index thread, std::span<Step> room);
  // After reduce(): one cycle among the threads it left, of whatever they wait for and have not got. There is none if they only wait
  // for anyone, for more units than there are, or for ANY of nothing.
  std::span<const Step> find_cycle_of_deadlocked(std::span<Step> room);

  // How many threads, resources and edges were looked at so far, each time counted.
  uint32_t work() const { return work_; }

 private:
  void link_for_reduction();
  Index sort_by_units(Index list);
  Index distribute(Index list, uint32_t bits);
  Index merge(Index first, Index second);
  void meet(Index thread);
  void meet_list(Index list);
  void grant_available(Resource& resource);
  void finish(Thread& thread);

  std::span<Thread> threads_;
  std::span<Resource> resources_;
  std::span<Edge> edges_;
  Index ready_ = kNone;   // threads that can go on and have not yet
  Index anyone_ = kNone;  // requests for anyone that are not met
  uint32_t work_ = 0;
};

static_assert(sizeof(WaitGraph::Thread) == 12 && sizeof(WaitGraph::Resource) == 12 && sizeof(WaitGraph::Edge) == 12);

}  // namespace faultline
