// Which blocks and inodes are free: group descriptors and bitmaps, in the metadata cache. Policy: data next to what it follows, files in
// their directory's group, directories where there is room.
#include <algorithm>
#include <bit>

#include "fs/ext2/file_system.h"

namespace faultline {

namespace {

bool bit_is_set(const uint8_t* bitmap, uint32_t bit) { return bitmap[bit / 8] >> (bit % 8) & 1; }
void set_bit(uint8_t* bitmap, uint32_t bit) { bitmap[bit / 8] = static_cast<uint8_t>(bitmap[bit / 8] | 1u << (bit % 8)); }
void clear_bit(uint8_t* bitmap, uint32_t bit) { bitmap[bit / 8] = static_cast<uint8_t>(bitmap[bit / 8] & ~(1u << (bit % 8))); }

// The first clear bit in from .. limit, or limit. Bitmaps are whole 32-bit words.
uint32_t find_clear(const uint8_t* bitmap, uint32_t from, uint32_t limit) {
  const uint32_t* words = reinterpret_cast<const uint32_t*>(bitmap);
  for (uint32_t at = from; at < limit; at = (at | 31) + 1) {
    uint32_t clear = ~words[at / 32] & (~0u << (at % 32));
    if (clear != 0) return std::min(limit, (at & ~31u) + static_cast<uint32_t>(std::countr_zero(clear)));
  }
  return limit;
}

void subtract(Atomic<uint32_t>& count, uint32_t by) {  // never below zero, whatever the disk said
  uint32_t now = count.load(memory_order_relaxed);
  count.store(now - std::min(now, by), memory_order_relaxed);
}
void add(Atomic<uint32_t>& count, uint32_t by, uint32_t limit) {  // nor past everything
  uint32_t now = count.load(memory_order_relaxed);
  count.store(std::min(now + by, limit), memory_order_relaxed);
}
void subtract(uint16_t& count, uint32_t by) { count = static_cast<uint16_t>(count - std::min<uint32_t>(count, by)); }

}  // namespace

uint32_t Ext2FileSystem::blocks_in(uint32_t group) const {
  return std::min(super_.blocks_per_group, super_.blocks_count - first_block_of(group));
}

// With sparse_super only groups 0, 1 and powers of 3, 5 and 7 have copies of superblock and descriptors.
bool Ext2FileSystem::has_superblock(uint32_t group) const {
  if (group <= 1 || !(super_.feature_read_only & kExt2ReadOnlySparseSuper)) return true;
  for (uint32_t base : {3u, 5u, 7u}) {
    uint64_t power = base;
    while (power < group) power *= base;
    if (power == group) return true;
  }
  return false;
}

uint32_t Ext2FileSystem::overhead() const {
  uint32_t blocks = super_.first_data_block;
  for (uint32_t i = 0; i < group_count_; i++) blocks += 2 + table_blocks() + (has_superblock(i) ? 1 + descriptor_blocks() : 0);
  return std::min(blocks, super_.blocks_count);
}

FileSystemStatistics Ext2FileSystem::statistics() {
  FileSystemStatistics result;
  result.type = kExt2Magic;
  result.block_size = block_size_;
  result.blocks = super_.blocks_count - overhead();
  result.blocks_free = free_blocks_.load(memory_order_relaxed);
  result.blocks_available = result.blocks_free - std::min<uint64_t>(result.blocks_free, super_.reserved_blocks_count);
  result.files = super_.inodes_count;
  result.files_free = free_inodes_.load(memory_order_relaxed);
  return result;
}

Result<Ext2FileSystem::Group> Ext2FileSystem::group(uint32_t index) {
  const uint32_t per_block = block_size_ / sizeof(Ext2GroupDescriptor);
  Ext2Block block = TRY(metadata((kExt2SuperblockOffset >> block_shift_) + 1 + index / per_block));
  auto* descriptor = reinterpret_cast<Ext2GroupDescriptor*>(block.data()) + index % per_block;
  if (!is_block(descriptor->block_bitmap) || !is_block(descriptor->inode_bitmap) || !is_block(descriptor->inode_table) ||
      super_.blocks_count - descriptor->inode_table < table_blocks())
    return damaged("senseless descriptor of group", index);
  return Group{std::move(block), index, descriptor};
}

// After an unclean end the superblock's counts are old; the groups' are not.
Result<void> Ext2FileSystem::recount() {
  uint64_t blocks = 0, inodes = 0;
  for (uint32_t i = 0; i < group_count_; i++) {
    Group each = TRY(group(i));
    blocks += each.descriptor->free_blocks;
    inodes += each.descriptor->free_inodes;
  }
  free_blocks_.store(static_cast<uint32_t>(std::min<uint64_t>(blocks, super_.blocks_count)), memory_order_relaxed);
  free_inodes_.store(static_cast<uint32_t>(std::min<uint64_t>(inodes, super_.inodes_count)), memory_order_relaxed);
  return {};
}

Result<Ext2FileSystem::InodePlace> Ext2FileSystem::locate_inode(uint32_t number) {
  ASSERT(number >= 1 && number <= super_.inodes_count);
  Group place = TRY(group((number - 1) / super_.inodes_per_group));
  uint32_t byte = (number - 1) % super_.inodes_per_group * inode_size_;
  return InodePlace{TRY(metadata(place.descriptor->inode_table + (byte >> block_shift_))), byte & (block_size_ - 1)};
}

// Does the range hold superblock copies, descriptors, bitmaps or inode tables of its group?
bool Ext2FileSystem::overlaps_structures(const Group& group, uint32_t first, uint32_t count) const {
  auto overlaps = [&](uint32_t start, uint32_t length) { return first < start + length && start < first + count; };
  const Ext2GroupDescriptor& descriptor = *group.descriptor;
  return overlaps(descriptor.block_bitmap, 1) || overlaps(descriptor.inode_bitmap, 1) || overlaps(descriptor.inode_table, table_blocks()) ||
         (has_superblock(group.index) && overlaps(first_block_of(group.index), 1 + descriptor_blocks()));
}

Result<Ext2Run> Ext2FileSystem::allocate_blocks(uint32_t goal, uint32_t wanted, Ext2Reserve reserve) {
  return allocate(goal, wanted, reserve, nullptr);
}

Result<Ext2Block> Ext2FileSystem::allocate_metadata(uint32_t goal, Ext2Reserve reserve) {
  Ext2Block block;
  TRY(allocate(goal, 1, reserve, &block));
  return block;
}

// If the blocks are for metadata, `metadata` becomes the first of them.
Result<Ext2Run> Ext2FileSystem::allocate(uint32_t goal, uint32_t wanted, Ext2Reserve reserve, Ext2Block* metadata) {
  LockGuard guard(allocation_lock_);
  uint32_t kept = reserve == Ext2Reserve::kKeep ? super_.reserved_blocks_count : 0;
  uint32_t available = free_blocks_.load(memory_order_relaxed);
  if (available <= kept) return Errno::kNOSPC;
  wanted = std::min(wanted, available - kept);
  if (!is_block(goal)) goal = super_.first_data_block;
  const uint32_t home = group_of(goal);
  // The goal's group from the goal on, the others, then the part before the goal.
  for (uint32_t i = 0; i <= group_count_; i++) {
    uint32_t index = (home + i) % group_count_;
    uint32_t from = i == 0 ? goal - first_block_of(home) : 0;
    Ext2Run run = TRY(allocate_in_group(index, from, wanted, metadata));
    if (run.count != 0) return run;
  }
  return Errno::kNOSPC;
}

Result<Ext2Run> Ext2FileSystem::allocate_in_group(uint32_t index, uint32_t from, uint32_t wanted, Ext2Block* made) {
  Group place = TRY(group(index));
  if (place.descriptor->free_blocks == 0) return Ext2Run{};
  Ext2Block bitmap = TRY(metadata(place.descriptor->block_bitmap));
  const uint32_t limit = blocks_in(index), base = first_block_of(index);
  for (uint32_t first = find_clear(bitmap.data(), from, limit); first < limit; first = find_clear(bitmap.data(), first + 1, limit)) {
    uint32_t count = 1;
    while (count < wanted && first + count < limit && !bit_is_set(bitmap.data(), first + count)) count++;
    while (count > 1 && overlaps_structures(place, base + first, count)) count--;
    if (overlaps_structures(place, base + first, 1)) {
      ignore_result(Result<void>(damaged("the file system's own block is marked free:", base + first)));
      continue;
    }
    if (made) *made = TRY(metadata_new(base + first));  // before anything is changed that would have to be undone
    for (uint32_t i = 0; i < count; i++) set_bit(bitmap.data(), first + i);
    metadata_changed(bitmap);
    subtract(place.descriptor->free_blocks, count);
    metadata_changed(place.block);
    subtract(free_blocks_, count);
    return Ext2Run{base + first, count};
  }
  return Ext2Run{};
}

Result<Ext2FileSystem::PinnedGroup> Ext2FileSystem::pin_group(uint32_t index) {
  Group place = TRY(group(index));
  Ext2Block bitmap = TRY(metadata(place.descriptor->block_bitmap));
  return PinnedGroup{std::move(place), std::move(bitmap)};
}

Result<void> Ext2FileSystem::free_blocks(const PinnedGroup& group, uint32_t first, uint32_t count) {
  LockGuard guard(allocation_lock_);
  if (overlaps_structures(group, first, count)) return damaged("the file system's own block is in a file:", first);
  const uint32_t bit = first - first_block_of(group.index);
  ASSERT(bit + count <= blocks_in(group.index));
  uint32_t freed = 0;
  for (uint32_t i = bit; i < bit + count; i++) {
    if (!bit_is_set(group.bitmap.data(), i)) continue;
    clear_bit(group.bitmap.data(), i);
    freed++;
  }
  metadata_changed(group.bitmap);
  group.descriptor->free_blocks = static_cast<uint16_t>(std::min(group.descriptor->free_blocks + freed, blocks_in(group.index)));
  metadata_changed(group.block);
  add(free_blocks_, freed, super_.blocks_count);
  return freed == count ? Result<void>() : damaged("freed twice: block", first);
}

// The first group from the parent's on with at least the average of free inodes and blocks.
Result<uint32_t> Ext2FileSystem::directory_group(uint32_t parent_group) {
  const uint32_t inodes = free_inodes_.load(memory_order_relaxed) / group_count_,
                 blocks = free_blocks_.load(memory_order_relaxed) / group_count_;
  for (uint32_t i = 0; i < group_count_; i++) {
    uint32_t index = (parent_group + i) % group_count_;
    Group each = TRY(group(index));
    if (each.descriptor->free_inodes != 0 && each.descriptor->free_inodes >= inodes && each.descriptor->free_blocks >= blocks) return index;
  }
  return parent_group;
}

Result<uint32_t> Ext2FileSystem::allocate_inode(uint32_t parent, bool directory) {
  return inodes_.with_all_room([&] { return allocate_inode_once(parent, directory); });
}

Result<uint32_t> Ext2FileSystem::allocate_inode_once(uint32_t parent, bool directory) {
  LockGuard guard(allocation_lock_);
  if (free_inodes_.load(memory_order_relaxed) == 0) return Errno::kNOSPC;
  uint32_t home = (parent - 1) / super_.inodes_per_group;
  if (directory) home = TRY(directory_group(home));
  for (uint32_t i = 0; i < group_count_; i++) {
    uint32_t number = TRY(allocate_inode_in_group((home + i) % group_count_, directory));
    if (number != 0) return number;
  }
  return Errno::kNOSPC;
}

// 0: none there.
Result<uint32_t> Ext2FileSystem::allocate_inode_in_group(uint32_t index, bool directory) {
  Group place = TRY(group(index));
  if (place.descriptor->free_inodes == 0) return 0u;
  Ext2Block bitmap = TRY(metadata(place.descriptor->inode_bitmap));
  const uint32_t from = index == 0 ? first_inode_ - 1 : 0;
  uint32_t bit = find_clear(bitmap.data(), from, super_.inodes_per_group);
  if (bit == super_.inodes_per_group) return 0u;
  set_bit(bitmap.data(), bit);
  metadata_changed(bitmap);
  subtract(place.descriptor->free_inodes, 1);
  if (directory) place.descriptor->directories++;
  metadata_changed(place.block);
  subtract(free_inodes_, 1);
  return index * super_.inodes_per_group + bit + 1;
}

Result<void> Ext2FileSystem::free_inode(uint32_t number, bool directory) {
  LockGuard guard(allocation_lock_);
  Group place = TRY(group((number - 1) / super_.inodes_per_group));
  Ext2Block bitmap = TRY(metadata(place.descriptor->inode_bitmap));
  uint32_t bit = (number - 1) % super_.inodes_per_group;
  if (!bit_is_set(bitmap.data(), bit)) return damaged("freed twice: inode", number);
  clear_bit(bitmap.data(), bit);
  metadata_changed(bitmap);
  place.descriptor->free_inodes++;
  if (directory) subtract(place.descriptor->directories, 1);
  metadata_changed(place.block);
  add(free_inodes_, 1, super_.inodes_count);
  return {};
}

}  // namespace faultline
