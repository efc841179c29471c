// Large wait graphs of the shapes that a search might be slow at: to count its work on.
#pragma once

#include <functional>
#include <vector>

#include "host_tests/deadlock_exhaustive.h"
#include "lib/wait_graph.h"

namespace faultline {

struct LargeWaitGraph {
  std::vector<WaitGraph::Thread> threads;
  std::vector<WaitGraph::Resource> resources;
  std::vector<WaitGraph::Edge> edges;
  bool is_deadlocked;
  WaitGraph graph() { return {threads, resources, edges}; }
};

struct LargeShape {
  const char* name;
  LargeWaitGraph (*make)(uint32_t size);
};

// `size` threads and resources, and up to four times as many edges.
inline LargeWaitGraph make_large(uint32_t size, bool is_deadlocked,
                                 const std::function<void(LargeWaitGraph&, uint32_t number, WaitGraph::Index i)>& add) {
  LargeWaitGraph made;
  made.threads.resize(size, {WaitFor::kAll});
  made.resources.resize(size);
  made.is_deadlocked = is_deadlocked;
  for (uint32_t i = 0; i < size; i++) add(made, i, static_cast<WaitGraph::Index>(i));
  return made;
}

// Three requests of each thread but the first, which holds all of the `resources` and waits for nothing.
inline LargeWaitGraph make_requests_at_random(uint32_t size, uint32_t resources) {
  return make_large(size, false, [=](LargeWaitGraph& made, uint32_t number, WaitGraph::Index i) {
    SmallRandom random(number);
    if (number < resources) made.resources[i].units = 1u << 31;
    if (number < resources) made.edges.push_back(WaitGraph::holds(0, i, 1u << 31));
    if (number == 0) made.threads[i].wait = WaitFor::kNothing;
    for (uint32_t each = 0; each < 3 && number > 0; each++)
      made.edges.push_back(
          WaitGraph::wants(i, static_cast<WaitGraph::Index>((3 * number + each) % resources), random.between(1, 1u << 31)));
  });
}

inline const LargeShape kLargeShapes[] = {
    {"ring: each holds a mutex and waits for the next one's",
     [](uint32_t size) {
       return make_large(size, true, [=](LargeWaitGraph& made, uint32_t number, WaitGraph::Index i) {
         made.edges.push_back(WaitGraph::holds(i, i));
         made.edges.push_back(WaitGraph::wants(i, static_cast<WaitGraph::Index>((number + 1) % size)));
       });
     }},
    {"chain: a ring with one that waits for nothing",
     [](uint32_t size) {
       return make_large(size, false, [=](LargeWaitGraph& made, uint32_t number, WaitGraph::Index i) {
         if (number == 0) made.threads[i].wait = WaitFor::kNothing;
         made.edges.push_back(WaitGraph::holds(i, i));
         made.edges.push_back(WaitGraph::wants(i, static_cast<WaitGraph::Index>((number + 1) % size)));
       });
     }},
    {"three mutexes wanted by each, which are held by later threads",
     [](uint32_t size) {
       return make_large(size, false, [=](LargeWaitGraph& made, uint32_t number, WaitGraph::Index i) {
         SmallRandom random(number);
         if (number == size - 1) made.threads[i].wait = WaitFor::kNothing;
         made.edges.push_back(WaitGraph::holds(i, i));
         for (int each = 0; each < 3 && number < size - 1; each++)
           made.edges.push_back(WaitGraph::wants(i, static_cast<WaitGraph::Index>(random.between(number + 1, size - 1))));
       });
     }},
    {"star: each waits for one resource of as many units as threads, holds one unit, and wants a different number",
     [](uint32_t size) {
       return make_large(size, false, [=](LargeWaitGraph& made, uint32_t number, WaitGraph::Index i) {
         made.resources[0].units = size + 1;
         made.edges.push_back(WaitGraph::holds(i, 0));
         made.edges.push_back(WaitGraph::wants(i, 0, size - number));
       });
     }},
    {"one resource, three requests of each thread for amounts at random",
     [](uint32_t size) {
       return make_large(size, false, [=](LargeWaitGraph& made, uint32_t number, WaitGraph::Index i) {
         SmallRandom random(number);
         made.resources[0].units = 4 * size;
         made.edges.push_back(WaitGraph::holds(i, 0, 3));
         for (int each = 0; each < 3; each++) made.edges.push_back(WaitGraph::wants(i, 0, random.between(1, size + number)));
       });
     }},
    {"one resource, all of which one thread holds; all others ask four times for amounts at random",
     [](uint32_t size) {
       return make_large(size, false, [=](LargeWaitGraph& made, uint32_t number, WaitGraph::Index i) {
         SmallRandom random(number);
         if (number == 0) {
           made.threads[i].wait = WaitFor::kNothing;
           made.resources[0].units = 1u << 31;
           made.edges.push_back(WaitGraph::holds(i, 0, 1u << 31));
         }
         for (int each = 0; each < 4 && number > 0; each++) made.edges.push_back(WaitGraph::wants(i, 0, random.between(1, 1u << 31)));
       });
     }},
    {"twelve requests for amounts at random for each resource, all of which one thread holds",
     [](uint32_t size) { return make_requests_at_random(size, size / 4); }},
    {"about sixty requests likewise", [](uint32_t size) { return make_requests_at_random(size, size / 20); }},
    {"ninety requests likewise", [](uint32_t size) { return make_requests_at_random(size, size / 30); }},
    {"hub: all wait for all units of one resource, of which each holds one, and for two messages",
     [](uint32_t size) {
       return make_large(size, true, [=](LargeWaitGraph& made, uint32_t number, WaitGraph::Index i) {
         made.resources[0].units = size;
         made.edges.push_back(WaitGraph::holds(i, 0));
         made.edges.push_back(WaitGraph::wants(i, 0, size));
         made.edges.push_back(WaitGraph::wants_thread(i, static_cast<WaitGraph::Index>((number + 1) % size)));
         made.edges.push_back(WaitGraph::wants_thread(i, static_cast<WaitGraph::Index>((number * 7 + 3) % size)));
       });
     }},
    {"messages: half wait for anyone, half for any of three others, one for nothing",
     [](uint32_t size) {
       return make_large(size, false, [=](LargeWaitGraph& made, uint32_t number, WaitGraph::Index i) {
         made.threads[i].wait = number == size / 2 ? WaitFor::kNothing : WaitFor::kAny;
         if (number % 2) made.edges.push_back(WaitGraph::wants_anyone(i));
         for (uint32_t each = 1; each <= 3 && number % 2 == 0; each++)
           made.edges.push_back(WaitGraph::wants_thread(i, static_cast<WaitGraph::Index>((number + each * each) % size)));
       });
     }},
};

}  // namespace faultline
