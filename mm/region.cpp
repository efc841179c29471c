// The set of regions: see region.h.
#include "mm/region.h"

#include "mm/slab.h"

namespace faultline {
namespace {
using RegionTree = Tree<Region, RegionTraits>;

// The highest gap of at least `bytes` within [low, high) between the regions of a subtree.
bool gap_within(const Region* node, uint32_t bytes, uint32_t low, uint32_t high, uint32_t& found) {
    if (!node || node->subtree_gap < bytes || node->subtree_start >= high || node->subtree_end <= low) return false;
    auto fits = [&](uint32_t from, uint32_t to) {
        if (from < low) from = low;
        if (to > high) to = high;
        if (to < from || to - from < bytes) return false;
        found = to - bytes;
        return true;
    };
    const Region *left = RegionTree::left(*node), *right = RegionTree::right(*node);
    return gap_within(right, bytes, low, high, found) || (right && fits(node->end.value(), right->subtree_start)) ||
           (left && fits(left->subtree_end, node->start.value())) || gap_within(left, bytes, low, high, found);
}

}  // namespace

void Region::destroy(Region* region) { slab_delete(region); }

bool Region::continues_in(const Region& next) const {
    return end == next.start && protection == next.protection && max_protection == next.max_protection &&
           shared == next.shared && grows_down == next.grows_down && lock_mode == next.lock_mode &&
           reading_order == next.reading_order && inheritance == next.inheritance && no_reserve == next.no_reserve && promised == next.promised &&
           kind == next.kind && object == next.object && backing == next.backing &&
           (!object || index_of(end) == next.object_offset);
}

void Region::copy_attributes(const Region& from) {
    protection = from.protection;
    max_protection = from.max_protection;
    shared = from.shared;
    grows_down = from.grows_down;
    lock_mode = from.lock_mode;
    reading_order = from.reading_order;
    inheritance = from.inheritance;
    no_reserve = from.no_reserve;
    promised = from.promised;
    kind = from.kind;
    object_offset = from.object_offset;
    object = from.object;
    backing = from.backing;
}

Region* RegionSet::search(VirtAddr address) const {
    Region* node = tree_.root();
    while (node) {
        if (address < node->start)
            node = RegionTree::left(*node);
        else if (address >= node->end)
            node = RegionTree::right(*node);
        else {
            last_found_.store(node, memory_order_relaxed);
            return node;
        }
    }
    return nullptr;
}

Region* RegionSet::first_after(VirtAddr address) const {
    Region* last = last_found_.load(memory_order_relaxed);
    if (last && address >= last->start && address < last->end) return last;
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
    return best;
}

VirtAddr RegionSet::find_gap(uint32_t bytes, VirtAddr low, VirtAddr high) const {
    const Region* root = tree_.root();
    if (high < low || high - low < bytes) return VirtAddr(0);
    if (!root || root->subtree_start >= high.value()) return high - bytes;
    if (root->subtree_end <= high.value() && high.value() - root->subtree_end >= bytes)
        return high - bytes;
    uint32_t found;
    if (gap_within(root, bytes, low.value(), high.value(), found)) return VirtAddr(found);
    bool below = root->subtree_start >= bytes && root->subtree_start - bytes >= low.value();
    return below ? VirtAddr(root->subtree_start - bytes) : VirtAddr(0);
}

void RegionSet::resize(Region& region, VirtAddr start, VirtAddr end) {
    if (region.object && start >= region.start) region.object_offset = region.index_of(start);
    region.start = start;
    region.end = end;
    tree_.refresh(region);
}

void RegionSet::split(Region& region, VirtAddr at, Region& upper) {
    upper.copy_attributes(region);
    upper.start = at;
    upper.end = region.end;
    if (region.object) upper.object_offset = region.index_of(at);
    resize(region, region.start, at);
    insert(upper);
}

void RegionSet::absorb_next(Region& region, Region& next) {
    VirtAddr end = next.end;
    remove(next);
    resize(region, region.start, end);
}

Result<void> RegionSet::copy(const RegionSet& other) {
    bool copied = tree_.copy_shape(other.tree_, [](const Region& from) -> Region* {
        auto made = slab_new<Region>();
        if (!made.ok()) return nullptr;
        made.value()->copy_attributes(from);
        made.value()->start = from.start;
        made.value()->end = from.end;
        return made.value();
    });
    if (!copied) return Errno::kNOMEM;
    count_ = other.count_;
    return {};
}

void RegionSet::clear() {
    last_found_.store(nullptr, memory_order_relaxed);
    count_ = 0;
    tree_.clear([](Region& region) { slab_delete(&region); });
}

DeadRegions::~DeadRegions() {
    while (first_) slab_delete(std::exchange(first_, first_->next_dead));
}

}  // namespace faultline
