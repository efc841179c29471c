// Where an inode's data lies: twelve direct pointers, then trees of indirect blocks of one, two and three levels. Finding, allocating,
// freeing. The disk's pointers are checked when followed: a block outside the file system is kUCLEAN, never an access.
#include <algorithm>

#include "fs/ext2/inode.h"

namespace faultline {

// The pointer to block `logical` of the file: its index in the inode, then one in each indirect block on the way.
Result<uint32_t> Ext2Inode::find_path(uint64_t logical, uint32_t (&offsets)[4]) const {
  const uint64_t pointers = fs_.pointers_per_block();
  if (logical < kExt2DirectBlocks) {
    offsets[0] = static_cast<uint32_t>(logical);
    return 1;
  }
  logical -= kExt2DirectBlocks;
  uint64_t span = pointers;  // of the tree
  for (uint32_t levels = 1; levels <= 3; levels++, span *= pointers) {
    if (logical >= span) {
      logical -= span;
      continue;
    }
    offsets[0] = kExt2DirectBlocks + levels - 1;
    for (uint32_t i = levels; i > 0; i--, logical /= pointers) offsets[i] = static_cast<uint32_t>(logical % pointers);
    return levels + 1;
  }
  return Errno::kFBIG;
}

Result<Ext2Run> Ext2Inode::map_run(uint32_t logical, uint32_t wanted) {
  LockGuard guard(map_lock_);
  return map_run_locked(logical, wanted);
}

// The neighbouring blocks from `logical` on, or the length of the hole there; as far as one block of pointers tells.
Result<Ext2Run> Ext2Inode::map_run_locked(uint32_t logical, uint32_t wanted) {
  uint32_t offsets[4];
  const uint32_t depth = TRY(find_path(logical, offsets));
  Ext2Block holder;
  const uint32_t* slots = block_;
  uint32_t limit = kExt2DirectBlocks;
  for (uint32_t level = 1; level < depth; level++) {
    uint32_t below = slots[offsets[level - 1]];
    limit = fs_.pointers_per_block();
    if (below == 0) return Ext2Run{0, std::min(wanted, limit - offsets[depth - 1])};
    holder = TRY(fs_.metadata(below));
    slots = holder.pointers();
  }
  uint32_t slot = offsets[depth - 1];
  uint32_t most = std::min(wanted, limit - slot);
  const uint32_t first = slots[slot];
  uint32_t count = 1;
  while (count < most && slots[slot + count] == (first == 0 ? 0 : first + count)) count++;
  if (first != 0 && (!fs_.is_block(first) || !fs_.is_block(first + count - 1)))
    return fs_.damaged("block pointer out of range in inode", ino());
  return Ext2Run{first, count};
}

uint32_t Ext2Inode::goal_for(uint32_t previous) const {
  if (previous != 0) return previous + 1;
  return last_allocated_ != 0 ? last_allocated_ + 1 : fs_.group_goal(ino());
}

// The inode has `count` blocks more, up to `last`.
void Ext2Inode::blocks_added(uint32_t last, uint32_t count) {
  sectors_.fetch_add(count * fs_.sectors_per_block(), memory_order_relaxed);
  last_allocated_ = last;
  mark_changed();
}

// Gives blocks to the hole at `logical`, up to `wanted` of them, as many as come in one piece; returns how many.
Result<uint32_t> Ext2Inode::fill_hole(uint32_t logical, uint32_t wanted, Ext2Reserve reserve) {
  uint32_t offsets[4];
  const uint32_t depth = TRY(find_path(logical, offsets));
  Ext2Block holder;
  uint32_t* slots = block_;
  uint32_t limit = kExt2DirectBlocks;
  for (uint32_t level = 1; level < depth; level++) {
    uint32_t& pointer = slots[offsets[level - 1]];
    Ext2Block below;
    if (pointer == 0) {
      below = TRY(fs_.allocate_metadata(goal_for(0), reserve));
      pointer = below.number();
      blocks_added(pointer, 1);
      if (holder) fs_.metadata_changed(holder);
    } else {
      below = TRY(fs_.metadata(pointer));
    }
    holder = std::move(below);
    slots = holder.pointers();
    limit = fs_.pointers_per_block();
  }
  uint32_t slot = offsets[depth - 1], count = 0;
  uint32_t most = std::min(wanted, limit - slot);
  while (count < most && slots[slot + count] == 0) count++;
  if (count == 0) return fs_.damaged("block map changed under its lock in inode", ino());
  Ext2Run run = TRY(fs_.allocate_blocks(goal_for(slot > 0 ? slots[slot - 1] : 0), count, reserve));
  for (uint32_t i = 0; i < run.count; i++) slots[slot + i] = run.first + i;
  if (holder) fs_.metadata_changed(holder);
  blocks_added(run.first + run.count - 1, run.count);
  return run.count;
}

// Makes sure that the blocks logical .. logical+count exist.
Result<void> Ext2Inode::allocate_run(uint32_t logical, uint32_t count, Ext2Reserve reserve) {
  return fs_.inodes().with_all_room([&] { return allocate_once(logical, count, reserve); });
}

Result<void> Ext2Inode::allocate_once(uint32_t logical, uint32_t count, Ext2Reserve reserve) {
  LockGuard guard(map_lock_);
  while (count != 0) {
    Ext2Run run = TRY(map_run_locked(logical, count));
    if (run.first == 0) run.count = TRY(fill_hole(logical, run.count, reserve));
    logical += run.count;
    count -= run.count;
  }
  return {};
}

// Frees blocks of one inode in runs, as far as the disk makes sense: the number of pointers that may be followed is bounded by the
// file system's size, so that a tree that bites its own tail ends too.
//
// It may stop at any block for want of memory, and the file is whole then and can be truncated again: a pointer is only cleared when nothing
// that frees its block can fail.
class Ext2Inode::Truncation {
 public:
  explicit Truncation(Ext2Inode& inode) : inode_(inode), fs_(inode.fs_), budget_(fs_.superblock().blocks_count) {}

  bool failed() const { return !result_.ok(); }

  // Frees the block that `pointer` names. False if it stays.
  bool take(uint32_t& pointer) {
    if (!prepare(pointer)) return false;
    add(std::exchange(pointer, 0));
    return true;
  }

  // Frees the data blocks from .. end below an indirect block of `level`, and the block itself when it names nothing any more.
  void take_branch(uint32_t& pointer, uint32_t level, uint64_t from, uint64_t end) {
    Result<Ext2Block> loaded = fs_.metadata(pointer);
    if (!loaded.ok() || budget_ == 0) return fail(loaded.ok() ? Errno::kUCLEAN : loaded.error());
    Ext2Block block = loaded.release_value();
    uint32_t* slots = block.pointers();
    const uint32_t pointers = fs_.pointers_per_block();
    uint64_t child_span = 1;
    for (uint32_t i = 1; i < level; i++) child_span *= pointers;
    for (uint64_t slot = from / child_span; slot < pointers && slot * child_span < end && !failed(); slot++) {
      if (slots[slot] == 0) continue;
      const uint64_t base = slot * child_span;
      if (level == 1)
        take(slots[slot]);
      else
        take_branch(slots[slot], level - 1, from > base ? from - base : 0, end - base);
    }
    const bool is_empty = std::all_of(slots, slots + pointers, [](uint32_t slot) { return slot == 0; });
    if (!is_empty || failed() || !prepare(pointer)) return fs_.metadata_changed(block);
    block = Ext2Block();  // unpinned before it is forgotten
    fs_.metadata_forget(pointer);
    add(std::exchange(pointer, 0));
  }

  Result<void> finish() {
    flush();
    return result_;
  }

 private:
  void fail(Errno error) {
    if (result_.ok()) result_ = error;
  }

  // The block can be freed: add(block) will not fail.
  bool prepare(uint32_t block) {
    if (!fs_.is_block(block) || budget_ == 0) {
      fail(fs_.damaged("block pointer out of range in inode", inode_.ino()));
    } else if (fs_.group_of(block) != group_.index) {
      flush();
      Result<Ext2FileSystem::PinnedGroup> pinned = fs_.pin_group(fs_.group_of(block));
      if (pinned.ok())
        group_ = pinned.release_value();
      else
        fail(pinned.error());
    }
    return !failed();
  }

  void add(uint32_t block) {
    budget_--;
    if (run_.count != 0 && run_.first + run_.count == block) {
      run_.count++;
      return;
    }
    flush();
    run_ = {block, 1};
  }

  void flush() {
    if (run_.count == 0) return;
    Result<void> freed = fs_.free_blocks(group_, run_.first, run_.count);
    if (!freed.ok()) fail(freed.error());
    uint32_t sectors = std::min(run_.count * fs_.sectors_per_block(), inode_.sectors_.load(memory_order_relaxed));
    inode_.sectors_.fetch_sub(sectors, memory_order_relaxed);
    run_ = {};
  }

  Ext2Inode& inode_;
  Ext2FileSystem& fs_;
  uint32_t budget_;
  Ext2FileSystem::PinnedGroup group_;  // of run_
  Ext2Run run_;
  Result<void> result_;
};

Result<void> Ext2Inode::free_range(uint64_t first, uint64_t end) {
  LockGuard guard(map_lock_);
  Truncation truncation(*this);
  for (uint64_t i = first; i < std::min<uint64_t>(end, kExt2DirectBlocks) && !truncation.failed(); i++)
    if (block_[i] != 0) truncation.take(block_[i]);
  uint64_t base = kExt2DirectBlocks, span = 1;
  for (uint32_t level = 1; level <= 3 && base < end && !truncation.failed(); level++) {
    span *= fs_.pointers_per_block();
    uint32_t& root = block_[kExt2DirectBlocks + level - 1];
    if (root != 0 && first < base + span) truncation.take_branch(root, level, first > base ? first - base : 0, end - base);
    base += span;
  }
  last_allocated_ = 0;
  mark_changed();
  return truncation.finish();
}

// There may be blocks past the end of file, up to `end`.
void Ext2Inode::note_excess(uint64_t end) {
  uint64_t known = excess_end_.load(memory_order_relaxed);
  while (known < end && !excess_end_.compare_exchange_weak(known, end, memory_order_relaxed)) {
  }
}

// Blocks past the end of file, which e2fsck would call wrong, and which must not become part of a file that grows: prepare_write() works in
// pages and may have asked for too many, and a truncation may have lacked the memory to free all.
Result<void> Ext2Inode::trim() {
  const uint64_t end = excess_end_.exchange(0, memory_order_relaxed);
  const uint32_t needed = blocks_for(data_.size());
  if (end <= needed) return {};
  Result<void> freed = free_from(needed);
  if (!freed.ok() && freed.error() == Errno::kNOMEM) note_excess(end);
  return freed;
}

// For the inode that is written. Not while someone writes: they are about to be used, and that writer's inode is written again.
Result<void> Ext2Inode::trim_if_idle() {
  if (excess_end_.load(memory_order_relaxed) == 0 || !content_lock().try_lock()) return {};
  Result<void> trimmed = trim();
  content_lock().unlock();
  return trimmed;
}

}  // namespace faultline
