// Regions: the ranges of an address space that may be touched, what a touch brings, and what it may do. The ordered set finds the one at an
// address and the highest gap of a size. Permission comes from here alone.
#pragma once

#include "lib/tree.h"
#include "mm/space_types.h"

namespace faultline {

struct Region : TreeNode<Region> {
    VirtAddr start, end;  // page-aligned, start < end
    Protection protection = 0, max_protection = 0;
    bool shared : 1 = false;
    bool grows_down : 1 = false;
    bool no_reserve : 1 = false;
    bool promised : 1 = false;  // its pages count in commit_promised, as they have since it was first writable
    LockMode lock_mode = LockMode::kNone;
    ReadingOrder reading_order = ReadingOrder::kNormal;
    Inheritance inheritance = Inheritance::kCopied;
    RegionKind kind = RegionKind::kAnonymousOrFile;
    PageIndex object_offset;  // of `start`
    Ref<Object> object;       // null: private anonymous
    Ref<RegionBacking> backing;

    static void destroy(Region* region);

    // Of the subtree: its outer bounds and the largest gap between its regions.
    uint32_t subtree_start = 0, subtree_end = 0, subtree_gap = 0;
    Region* next_dead = nullptr;  // see DeadRegions

    uint32_t pages() const { return (end - start) >> kPageShift; }
    PageIndex index_of(VirtAddr page) const { return object_offset + ((page - start) >> kPageShift); }
    bool allows(Access access) const {
        // No NX on these processors: what can be read can be executed, and what can be written can be read.
        if (access == Access::kWrite) return protection & kProtWrite;
        return protection != kProtNone;
    }
    bool is_locked() const { return lock_mode != LockMode::kNone; }
    // What RLIMIT_DATA counts.
    bool is_data() const { return !shared && !grows_down && (protection & kProtWrite); }
    // Whether becoming this makes all of it a promise that it has not been (Linux: VM_ACCOUNT).
    bool needs_promise(Protection wanted) const { return (wanted & kProtWrite) && !shared && !no_reserve && !promised; }
    // Whether `next`, which begins where this ends, differs in nothing but place.
    bool continues_in(const Region& next) const;
    // Everything but place and tree.
    void copy_attributes(const Region& from);
};

struct RegionTraits {
    static bool less(const Region& a, const Region& b) { return a.start < b.start; }
    static bool update(Region& node, const Region* left, const Region* right) {
        uint32_t start = node.start.value(), end = node.end.value(), gap = 0;
        if (left) {
            gap = start - left->subtree_end;
            if (left->subtree_gap > gap) gap = left->subtree_gap;
            start = left->subtree_start;
        }
        if (right) {
            uint32_t between = right->subtree_start - end;
            if (between > gap) gap = between;
            if (right->subtree_gap > gap) gap = right->subtree_gap;
            end = right->subtree_end;
        }
        bool changed = start != node.subtree_start || end != node.subtree_end || gap != node.subtree_gap;
        node.subtree_start = start;
        node.subtree_end = end;
        node.subtree_gap = gap;
        return changed;
    }
};

class RegionSet {
  public:
    // Not locked: the space's lock guards it.
    Region* find(VirtAddr address) const {
        Region* last = last_found_.load(memory_order_relaxed);
        return last && address >= last->start && address < last->end ? last : search(address);
    }
    // The region with the lowest addresses that ends after `address`.
    Region* first_after(VirtAddr address) const;
    bool is_free(VirtAddr start, VirtAddr end) const {
        Region* region = first_after(start);
        return !region || region->start >= end;
    }
    // The highest place for `bytes` within [low, high); 0 if there is none.
    VirtAddr find_gap(uint32_t bytes, VirtAddr low, VirtAddr high) const;

    // max_map_count of Linux: more would let one process fill the kernel's memory with regions.
    static constexpr uint32_t kLimit = 65530;
    uint32_t count() const { return count_; }

    void insert(Region& region) {
        tree_.insert(region);
        count_++;
    }
    void remove(Region& region) {
        count_--;
        last_found_.store(nullptr, memory_order_relaxed);
        tree_.remove(region);
    }
    // New bounds that keep the region between its neighbours.
    void resize(Region& region, VirtAddr start, VirtAddr end);
    // Cuts `region` at `at`, within it; `upper` (fresh) becomes the part from `at` on.
    void split(Region& region, VirtAddr at, Region& upper);
    // `region` grows over the next one, which continues it and is taken out.
    void absorb_next(Region& region, Region& next);

    Region* first() const { return tree_.first(); }
    static Region* next(const Region& region) { return Tree<Region, RegionTraits>::next(region); }
    static Region* previous(const Region& region) { return Tree<Region, RegionTraits>::previous(region); }
    // Copies of all regions of `other` into this empty set. kNOMEM: what was made is here, to be cleared.
    Result<void> copy(const RegionSet& other);
    void clear();

  private:
    Region* search(VirtAddr address) const;

    Tree<Region, RegionTraits> tree_;
    uint32_t count_ = 0;
    mutable Atomic<Region*> last_found_{nullptr};  // by find(), which readers of the lock race in
};

// Regions taken out of a set, ended when no lock is held any more: the last reference to a file may close it.
class DeadRegions {
  public:
    DeadRegions() = default;
    DeadRegions(const DeadRegions&) = delete;
    DeadRegions& operator=(const DeadRegions&) = delete;
    ~DeadRegions();
    void add(Region* region) {
        if (!region) return;
        region->next_dead = first_;
        first_ = region;
    }

  private:
    Region* first_ = nullptr;
};

}  // namespace faultline
