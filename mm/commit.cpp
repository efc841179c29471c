// What is refused, by mode: see commit.h. (Linux: __vm_enough_memory.)
#include "mm/commit.h"

#include <algorithm>

#include "mm/frame.h"
#include "mm/frames.h"
#include "mm/space.h"
#include "mm/swap.h"

namespace faultline {

constinit CommitSettings commit_settings;
constinit Atomic<uint32_t> commit_promised{0}, commit_unasked{0};

namespace {

constinit Atomic<uint32_t> current_mode{0};
constexpr uint32_t kKilobytesPerPage = kPageSize / 1024;

bool may_be_promised(uint32_t pages, uint32_t mapped_pages) {
  switch (commit_mode()) {
    case Overcommit::kAlways: return true;
    case Overcommit::kHeuristic: return pages <= uint64_t{frames_total()} + swap_statistics().total;
    case Overcommit::kNever: break;
  }
  int64_t allowed = commit_limit();
  if (!current_may_use_the_reserve()) allowed -= commit_settings.admin_reserve.load(memory_order_relaxed) / kKilobytesPerPage;
  allowed -= std::min(mapped_pages / 32, commit_settings.user_reserve.load(memory_order_relaxed) / kKilobytesPerPage);
  return commit_promised.load(memory_order_relaxed) < allowed;
}

}  // namespace

void commit_initialize() {
  constexpr uint32_t kMostForAdmin = 8u << 10, kMostForOthers = 128u << 10;
  const uint32_t share = frame_statistics().free * kKilobytesPerPage / 32;
  commit_promised.store(0, memory_order_relaxed);
  commit_settings.admin_reserve.store(std::min(share, kMostForAdmin), memory_order_relaxed);
  commit_settings.user_reserve.store(std::min(share, kMostForOthers), memory_order_relaxed);
  commit_set_mode(Overcommit::kHeuristic);
}

Overcommit commit_mode() { return static_cast<Overcommit>(current_mode.load(memory_order_relaxed)); }

void commit_set_mode(Overcommit mode) {
  const uint32_t unasked = mode == Overcommit::kHeuristic ? frames_total() : mode == Overcommit::kAlways ? ~0u : 0;
  current_mode.store(static_cast<uint32_t>(mode), memory_order_relaxed);
  commit_unasked.store(unasked, memory_order_relaxed);
}

uint32_t commit_limit() {
  const uint32_t kilobytes = commit_settings.kilobytes.load(memory_order_relaxed);
  const uint64_t of_ram =
      kilobytes != 0 ? kilobytes / kKilobytesPerPage : uint64_t{frames_total()} * commit_settings.ratio.load(memory_order_relaxed) / 100;
  return static_cast<uint32_t>(std::min<uint64_t>(of_ram + swap_statistics().total, ~0u));
}

Result<void> commit_look(uint32_t pages, uint32_t mapped_pages) {
  if (may_be_promised(pages, mapped_pages)) return {};
  commit_release(pages);
  return Errno::kNOMEM;
}

}  // namespace faultline
