// Epoll instances in epoll instances: never in a circle, not too deep, and without too many ways from a file to those it wakes.
#pragma once

#include "kernel/files/epoll.h"

namespace faultline {

// Who has one may make an edge between instances, or add to an instance that is in others: one at a time. A wake-up goes all ways up from
// a file, with interrupts off, so their number is bounded; as on Linux.
class Nesting {
 public:
  Nesting();
  ~Nesting();
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

  // May `inner` be put into `outer`? kLOOP. No instance's mutex is held.
  Result<void> check_depth(Epoll& outer, Epoll& inner);
  // `file` has been added to an instance, whose mutex may be held: are there too many ways up from it, or from what is in it? kINVAL.
  Result<void> check_paths(File& file);

 private:
  static constexpr uint32_t kMostEdges = 4;
  struct Paths {
    uint32_t of_length[kMostEdges + 1] = {};
  };
  Result<uint32_t> depth_below(Epoll& epoll, const Epoll& outer);
  uint32_t height_above(Epoll& epoll) REQUIRES(file_watches_lock);
  bool count_paths(File& file, uint32_t edges, Paths& paths) REQUIRES(file_watches_lock);
  Result<void> check_leaves(File& file);
  void begin_walk();
  bool is_visited(Epoll& epoll);

  uint32_t walk_ = 0;  // marks who has been visited
};

void epoll_initialize();  // boot

}  // namespace faultline
