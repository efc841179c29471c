// Regions: the ranges of an address space that may be touched, what a touch brings, and what it may do. The ordered set finds the one at an
// address and the highest gap of a size. Permission comes from here alone.
#pragma once

#include "lib/tree.h"
#include "mm/space_types.h"

namespace faultline {

// What two neighbours must have in common to be one region.
struct RegionAttributes {
  Protection protection = 0;
  Protection max_protection = kProtRead | kProtWrite | kProtExecute;  // mprotect's limit: a read-only descriptor shared has no write
  bool shared = false;
  bool grows_down = false;
  bool no_reserve = false;
  bool promised = false;  // its pages count in commit_promised, as they have since it was first writable
  LockMode lock_mode = LockMode::kNone;
  ReadingOrder reading_order = ReadingOrder::kNormal;
  Inheritance inheritance = Inheritance::kCopied;
  RegionKind kind = RegionKind::kAnonymousOrFile;
  uint8_t unused[2] = {};  // so that it can be compared by words

  bool operator==(const RegionAttributes& other) const {
    return ((word(0) ^ other.word(0)) | (word(1) ^ other.word(1)) | (word(2) ^ other.word(2))) == 0;
  }

 private:
  uint32_t word(uint32_t index) const {
    static_assert(sizeof(RegionAttributes) == 3 * sizeof(uint32_t));
    uint32_t value;
    __builtin_memcpy(&value, reinterpret_cast<const char*>(this) + index * sizeof value, sizeof value);
    return value;
  }
};

// What a region says, without its place in the set.
struct Mapping : RegionAttributes {
  VirtAddr start, end;      // page-aligned, start < end
  PageIndex object_offset;  // of `start`
  Ref<Object> object;       // null: private anonymous
  Ref<RegionBacking> backing;

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
  // Whether `next` begins where this ends, and differs in nothing but place.
  bool continues_in(const Mapping& next) const {
    return end == next.start && static_cast<const RegionAttributes&>(*this) == next && object == next.object && backing == next.backing &&
           (!object || index_of(end) == next.object_offset);
  }
};

struct Region : TreeNode<Region>, Mapping {
  Region() = default;
  Region(const Region& other) : TreeNode<Region>(), Mapping(other) {}  // says the same, and is in no set
  static void destroy(Region* region);

  uint32_t gap_below = 0;       // bytes to the end of the region before this, or to address 0
  uint32_t subtree_gap = 0;     // no region of this subtree has a larger one: exact when made, and again when a search was misled
  Region* next_dead = nullptr;  // see DeadRegions

  VirtAddr previous_end() const { return start - gap_below; }
};

struct RegionTraits {
  // A bound that sinks concerns nobody above: theirs are bounds still.
  static bool update(Region& node, const Region* left, const Region* right) {
    uint32_t gap = node.gap_below;
    if (left && left->subtree_gap > gap) gap = left->subtree_gap;
    if (right && right->subtree_gap > gap) gap = right->subtree_gap;
    bool has_grown = gap > node.subtree_gap;
    node.subtree_gap = gap;
    return has_grown;
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
  Region* first_after(VirtAddr address) const {
    Region* last = last_found_.load(memory_order_relaxed);
    return last && address < last->end && address >= last->previous_end() ? last : search_after(address);
  }
  // The next search is likely to end at this region.
  void expect_at(Region& region) { last_found_.store(&region, memory_order_relaxed); }
  bool is_free(VirtAddr start, VirtAddr end) const {
    Region* region = first_after(start);
    return !region || region->start >= end;
  }
  // A place with nothing in it, and the region that follows it, if one does.
  struct Gap {
    VirtAddr start;
    Region* above = nullptr;
  };
  // The highest place for `bytes` within [low, high); it starts at 0 if there is none. Under the lock for writing.
  Gap find_gap(uint32_t bytes, VirtAddr low, VirtAddr high);

  // max_map_count of Linux: more would let one process fill the kernel's memory with regions.
  static constexpr uint32_t kLimit = 65530;
  uint32_t count() const { return count_; }

  void insert(Region& region);
  void remove(Region& region);
  // New bounds that keep the region between its neighbours.
  void move_start(Region& region, VirtAddr start) {
    const uint32_t gap = region.gap_below + (start - region.start);  // modulo 2^32
    if (region.object)
      region.object_offset = PageIndex(region.object_offset.value() + (start.value() >> kPageShift) - (region.start.value() >> kPageShift));
    if (start > region.start) note_free(start);
    region.start = start;
    set_gap_below(region, gap);
  }
  void move_end(Region& region, VirtAddr end);
  // Cuts `region` at `at`, within it; `upper` (a copy of it) becomes the part from `at` on.
  void split(Region& region, VirtAddr at, Region& upper);
  // `region` grows over the next one, which continues it and is taken out.
  void absorb_next(Region& region, Region& next);

  Region* first() const { return tree_.first(); }
  Region* last() const { return tree_.last(); }
  static Region* next(const Region& region) { return Tree<Region, RegionTraits>::next(region); }
  static Region* previous(const Region& region) { return Tree<Region, RegionTraits>::previous(region); }
  // Copies of all regions of `other` into this empty set. kNOMEM: what was made is here, to be cleared.
  Result<void> copy(const RegionSet& other);
  void clear();

 protected:
  Tree<Region, RegionTraits> tree_;

 private:
  Region* search(VirtAddr address) const;
  Region* search_after(VirtAddr address) const;
  Gap search_gap(uint32_t bytes, VirtAddr low, VirtAddr high);
  // `region` has so many bytes free below it now. What its own bound still covers concerns nobody above.
  void set_gap_below(Region& region, uint32_t bytes) {
    region.gap_below = bytes;
    if (bytes > region.subtree_gap) tree_.refresh(region);
  }
  void take_out(Region& region, Region* next_found);
  // Space that ends at `end` is free from now on.
  void note_free(VirtAddr end) {
    if (end > full_above_) full_above_ = end;
  }

  uint32_t count_ = 0;
  mutable Atomic<Region*> last_found_{nullptr};  // where searches are likely to end; readers of the lock race in setting it
  // Of the last search for a gap: above `full_above_`, but for a gap that it lies in or at the start of, none below `full_below_` has
  // `full_bytes_`. No bytes: nothing is known.
  VirtAddr full_above_, full_below_;
  uint32_t full_bytes_ = 0;
};

// Regions taken out of a set, ended when no lock is held any more: the last reference to a file may close it.
class DeadRegions {
 public:
  DeadRegions() = default;
  DeadRegions(const DeadRegions&) = delete;
  DeadRegions& operator=(const DeadRegions&) = delete;
  ~DeadRegions() {
    if (first_) end();
  }
  void add(Region* region) {
    if (!region) return;
    region->next_dead = first_;
    first_ = region;
  }

 private:
  void end();
  Region* first_ = nullptr;
};

}  // namespace faultline
