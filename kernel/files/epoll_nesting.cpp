// See epoll_nesting.h. Down from an instance, its mutex is held; up from a file, the lock of all links.
#include "kernel/files/epoll_nesting.h"

#include "lib/late.h"

namespace faultline {

namespace {

struct OneAtATime {
  Mutex<LockRank::kEventNesting> lock;
  uint32_t walks = 0;
};
constinit Late<OneAtATime> one_at_a_time;

}  // namespace

void epoll_initialize() { one_at_a_time.construct(); }

Nesting::Nesting() NO_THREAD_SAFETY_ANALYSIS { one_at_a_time->lock.lock(); }
Nesting::~Nesting() NO_THREAD_SAFETY_ANALYSIS { one_at_a_time->lock.unlock(); }

void Nesting::begin_walk() { walk_ = ++one_at_a_time->walks; }
// Marks it. What was found out about it is in its walk_depth_.
bool Nesting::is_visited(Epoll& epoll) { return std::exchange(epoll.walk_, walk_) == walk_; }

Result<uint32_t> Nesting::depth_below(Epoll& epoll, const Epoll& outer) {
  if (&epoll == &outer) return Errno::kLOOP;
  if (is_visited(epoll)) return epoll.walk_depth_;
  uint32_t depth = 0;
  LockGuard guard(epoll.mutex_);
  for (Epoll::Item* item = epoll.items_.first(); item; item = epoll.items_.next(*item)) {
    Epoll* inner = item->file->epoll();
    if (!inner) continue;
    uint32_t below = TRY(depth_below(*inner, outer)) + 1;
    if (below > depth) depth = below;
  }
  epoll.walk_depth_ = depth;
  return depth;
}

// An instance that a list of watches leads to has its file still.
uint32_t Nesting::height_above(Epoll& epoll) {
  if (is_visited(epoll)) return epoll.walk_depth_;
  uint32_t height = 0;
  for (FileWatch& watch : epoll.file_->watches()) {
    uint32_t above = height_above(static_cast<Epoll&>(watch.watcher())) + 1;
    if (above > height) height = above;
  }
  epoll.walk_depth_ = height;
  return height;
}

Result<void> Nesting::check_depth(Epoll& outer, Epoll& inner) {
  begin_walk();
  uint32_t below = TRY(depth_below(inner, outer));
  begin_walk();
  LockGuard guard(file_watches_lock);
  return height_above(outer) + 1 + below <= kMostEdges ? Result<void>() : Errno::kLOOP;
}

// Instances that are in none, however many, are a loop over a list; what multiplies is instances in instances.
bool Nesting::count_paths(File& file, uint32_t edges, Paths& paths) {
  constexpr uint32_t kMost[kMostEdges + 1] = {~0u, 500, 100, 50, 10};
  if (edges > kMostEdges) return false;
  for (FileWatch& watch : file.watches()) {
    File& above = *static_cast<Epoll&>(watch.watcher()).file_;
    bool is_top = above.watches().is_empty();
    if (is_top ? ++paths.of_length[edges] > kMost[edges] : !count_paths(above, edges + 1, paths)) return false;
  }
  return true;
}

Result<void> Nesting::check_leaves(File& file) {
  Epoll* inner = file.epoll();
  if (!inner) {
    Paths paths;
    LockGuard guard(file_watches_lock);
    return count_paths(file, 0, paths) ? Result<void>() : Errno::kINVAL;
  }
  if (is_visited(*inner)) return {};
  LockGuard guard(inner->mutex_);
  for (Epoll::Item* item = inner->items_.first(); item; item = inner->items_.next(*item)) TRY(check_leaves(*item->file));
  return {};
}

Result<void> Nesting::check_paths(File& file) {
  begin_walk();
  return check_leaves(file);
}

}  // namespace faultline
