// The set of regions: see region.h.
#include "mm/region.h"

#include "mm/slab.h"

namespace faultline {
namespace {
using RegionTree = Tree<Region, RegionTraits>;

// The highest gap of at least `bytes` within [low, high) below the regions of a subtree. A bound that promised too much is put right, so that
// it misleads once.
bool find_gap_within(Region* node, uint32_t bytes, VirtAddr low, VirtAddr high, RegionSet::Gap& found) {
  if (!node || node->subtree_gap < bytes) return false;
  auto fits = [&] {
    VirtAddr from = node->previous_end() > low ? node->previous_end() : low, to = node->start < high ? node->start : high;
    if (to < from || to - from < bytes) return false;
    found = {to - bytes, node};
    return true;
  };
  Region *left = RegionTree::left(*node), *right = RegionTree::right(*node);
  if (node->end < high && find_gap_within(right, bytes, low, high, found)) return true;
  if (fits()) return true;
  if (node->previous_end() > low && find_gap_within(left, bytes, low, high, found)) return true;
  RegionTraits::update(*node, left, right);
  return false;
}

}  // namespace

void Region::destroy(Region* region) { slab_delete(region); }

Region* RegionSet::search(VirtAddr address) const {
  Region* found = first_after(address);
  return found && address >= found->start ? found : nullptr;
}

Region* RegionSet::search_after(VirtAddr address) const {
  Region *node = tree_.root(), *best = nullptr;
  while (node) {
    if (address < node->end) {
      best = node;
      if (address >= node->start) break;
      node = RegionTree::left(*node);
    } else {
      node = RegionTree::right(*node);
    }
  }
  if (best) last_found_.store(best, memory_order_relaxed);
  return best;
}

RegionSet::Gap RegionSet::find_gap(uint32_t bytes, VirtAddr low, VirtAddr high) {
  if (high < low || high - low < bytes) return {};
  Gap found;
  // The highest gap of this size is often where the last search ended.
  if (full_bytes_ != 0 && bytes >= full_bytes_ && high == full_below_) {
    if (Region* above = first_after(full_above_)) {
      VirtAddr top = above->start < high ? above->start : high, bottom = above->previous_end() > low ? above->previous_end() : low;
      if (bottom <= top && top - bottom >= bytes) found = {top - bytes, above};
    }
  }
  if (!found.above) found = search_gap(bytes, low, high);
  full_bytes_ = found.start == VirtAddr(0) ? 0 : bytes;
  full_above_ = found.start;
  full_below_ = high;
  return found;
}

RegionSet::Gap RegionSet::search_gap(uint32_t bytes, VirtAddr low, VirtAddr high) {
  const Region* last = tree_.last();
  VirtAddr bottom = last && last->end > low ? last->end : low;
  if (bottom <= high && high - bottom >= bytes) return {high - bytes};
  Gap found;
  find_gap_within(tree_.root(), bytes, low, high, found);
  return found;
}

void RegionSet::insert(Region& region) {
  Region* after = first_after(region.start);
  Region* before = after ? previous(*after) : tree_.last();
  region.gap_below = region.start - (before ? before->end : VirtAddr(0));
  if (after) after->gap_below = after->start - region.end;
  tree_.insert_after(before, region);
  count_++;
}

void RegionSet::take_out(Region& region, Region* next_found) {
  if (last_found_.load(memory_order_relaxed) == &region) last_found_.store(next_found, memory_order_relaxed);
  tree_.remove(region);
  count_--;
}

void RegionSet::remove(Region& region) {
  Region* after = next(region);
  note_free(region.end);
  take_out(region, after);
  if (after) set_gap_below(*after, after->start - region.previous_end());
}

void RegionSet::move_end(Region& region, VirtAddr end) {
  if (end < region.end) note_free(region.end);
  region.end = end;
  if (Region* after = next(region)) set_gap_below(*after, after->start - end);
}

void RegionSet::split(Region& region, VirtAddr at, Region& upper) {
  upper.start = at;
  if (region.object) upper.object_offset = region.index_of(at);
  upper.gap_below = 0;
  region.end = at;
  tree_.insert_after(&region, upper);
  count_++;
}

void RegionSet::absorb_next(Region& region, Region& next) {
  region.end = next.end;
  take_out(next, &region);
}

Result<void> RegionSet::copy(const RegionSet& other) {
  bool copied = tree_.copy_shape(other.tree_, [](const Region& from) -> Region* {
    auto made = slab_new<Region>(from);
    if (!made.ok()) return nullptr;
    made.value()->gap_below = from.gap_below;
    return made.value();
  });
  if (!copied) return Errno::kNOMEM;
  count_ = other.count_;
  return {};
}

void RegionSet::clear() {
  last_found_.store(nullptr, memory_order_relaxed);
  count_ = full_bytes_ = 0;
  tree_.clear([](Region& region) { slab_delete(&region); });
}

void DeadRegions::end() {
  while (first_) slab_delete(std::exchange(first_, first_->next_dead));
}

}  // namespace faultline
