// Promises of memory. Whatever programs may fill with data of their own is counted when they map it, long before they touch it: writable private
// regions (unless MAP_NORESERVE), shared anonymous memory by the size of its object, tmpfs's files by the page. The modes and what they refuse
// are Linux's (proc(5), /proc/sys/vm/overcommit_memory); Committed_AS is exactly the sum of what lives.
#pragma once

#include <cstdint>
#include <utility>

#include "lib/atomic.h"
#include "lib/result.h"

namespace faultline {

enum class Overcommit : uint8_t {
  kHeuristic,  // refuses only what RAM and swap together could not hold
  kAlways,     // refuses nothing
  kNever,      // all promises together stay below commit_limit()
};

void commit_initialize();  // boot, after frames

// What /proc/sys/vm sets; each value stands for itself.
struct CommitSettings {
  Atomic<uint32_t> ratio{50};         // kNever: how many hundredths of RAM count beside swap
  Atomic<uint32_t> kilobytes{0};      // not 0: instead of those
  Atomic<uint32_t> admin_reserve{0};  // KiB that only the superuser is promised
  Atomic<uint32_t> user_reserve{0};   // KiB, or a 32nd of what it has, that a process leaves for others
};
extern CommitSettings commit_settings;
Overcommit commit_mode();
void commit_set_mode(Overcommit mode);

uint32_t commit_limit();                  // pages; counts in any mode, holds in kNever
extern Atomic<uint32_t> commit_promised;  // pages, modulo 2^32
extern Atomic<uint32_t> commit_unasked;   // so many at once are promised without a look

// Promises pages to a process that has `mapped_pages`. kNOMEM: nothing was promised.
Result<void> commit_look(uint32_t pages, uint32_t mapped_pages);
inline Result<void> commit_promise(uint32_t pages, uint32_t mapped_pages) {
  commit_promised.fetch_add(pages, memory_order_relaxed);
  if (pages <= commit_unasked.load(memory_order_relaxed)) [[likely]]
    return {};
  return commit_look(pages, mapped_pages);
}
inline void commit_release(uint32_t pages) { commit_promised.fetch_sub(pages, memory_order_relaxed); }

// A promise that is taken back unless what it is for succeeds.
class CommitPromise {
 public:
  CommitPromise() = default;
  CommitPromise(const CommitPromise&) = delete;
  CommitPromise& operator=(const CommitPromise&) = delete;
  ~CommitPromise() {
    if (pages_ != 0) commit_release(pages_);
  }
  Result<void> take(uint32_t pages, uint32_t mapped_pages) {
    TRY(commit_promise(pages, mapped_pages));
    pages_ += pages;
    return {};
  }
  // It holds: returns its pages, for who counts them.
  uint32_t keep() { return std::exchange(pages_, 0); }

 private:
  uint32_t pages_ = 0;
};

}  // namespace faultline
