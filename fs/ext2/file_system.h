// A mounted ext2: superblock, group descriptors, allocation bitmaps, and the way to metadata blocks.
//
// Metadata blocks are cached one to a page: by the device's own object when a block is a page, else by an object of ours whose page N holds
// block N. So file data (in the inodes' objects) and metadata never share a page, and a freed metadata block is forgotten by discarding its page.
#pragma once

#include <cstdint>

#include "fs/block_device.h"
#include "fs/ext2/inode_cache.h"
#include "fs/ext2/layout.h"
#include "fs/inode.h"
#include "mm/object.h"

namespace faultline {

class Ext2Inode;

// A metadata block, resident while this lives.
class Ext2Block {
 public:
  Ext2Block() = default;
  Ext2Block(PinnedFrame page, uint32_t number) : page_(std::move(page)), number_(number) {}
  uint32_t number() const { return number_; }
  uint8_t* data() const { return page_.data(); }
  uint32_t* pointers() const { return reinterpret_cast<uint32_t*>(page_.data()); }
  explicit operator bool() const { return static_cast<bool>(page_); }

 private:
  PinnedFrame page_;
  uint32_t number_ = 0;
};

struct Ext2Run {  // neighbouring blocks; first 0: a hole
  uint32_t first = 0, count = 0;
};

// Reserved blocks are for the superuser, and for what has been promised.
enum class Ext2Reserve : uint8_t { kKeep, kMayUse };

class Ext2FileSystem final : public FileSystem, private PageSource {
 public:
  // mount(2)'s entry. kINVAL: not ext2, or features we don't know (named in the log); kUCLEAN: senseless superblock; kBUSY: it is mounted; kIO,
  // kNOMEM.
  static Result<FileSystem*> mount(BlockDevice* device, uint32_t flags, StringView options);

  StringView type_name() const override { return "ext2"; }
  Ref<Inode> root() override;
  FileSystemStatistics statistics() override;
  DeviceNumber device() const override { return device_.number(); }
  bool is_read_only() const override { return read_only_.load(memory_order_relaxed); }
  Result<void> synchronize(WriteBack mode) override;
  Result<void> remount(uint32_t flags) override;
  Result<void> unmount() override;

  BlockDevice& block_device() { return device_; }
  Ext2InodeCache& inodes() { return inodes_; }
  const Ext2Superblock& superblock() const { return super_; }  // geometry and features only; counts are below
  uint32_t block_size() const { return block_size_; }
  uint32_t block_shift() const { return block_shift_; }
  uint32_t sectors_per_block() const { return block_size_ / kSectorSize; }
  uint32_t pointers_per_block() const { return block_size_ / 4; }
  uint32_t inode_size() const { return inode_size_; }
  uint32_t first_ordinary_inode() const { return first_inode_; }
  uint32_t group_count() const { return group_count_; }
  bool has_file_types() const { return super_.feature_incompat & kExt2IncompatFileType; }
  bool is_block(uint32_t block) const { return block >= super_.first_data_block && block < super_.blocks_count; }
  // Largest file in bytes, by the block map and the 32-bit count of sectors.
  uint64_t max_file_size() const { return max_file_size_; }
  // A file past 2 GiB is about to exist: the superblock must say so. kFBIG if it cannot.
  Result<void> allow_large_file();

  // The block's contents. kUCLEAN: not a block of this file system; kIO, kNOMEM. May do I/O.
  Result<Ext2Block> metadata(uint32_t block);
  // The caller has changed it. May write the superblock first (the disk is no longer clean).
  void metadata_changed(const Ext2Block& block);
  // It is free now: what the cache has of it must never be written.
  void metadata_forget(uint32_t block);

  // Where an inode lies. kUCLEAN when the number or the descriptor is senseless.
  struct InodePlace {
    Ext2Block block;
    uint32_t offset;
    Ext2RawInode* raw() const { return reinterpret_cast<Ext2RawInode*>(block.data() + offset); }
  };
  Result<InodePlace> locate_inode(uint32_t number);

  // 1 to `wanted` neighbouring blocks, as near behind `goal` (0: anywhere) as there are any. kNOSPC, kIO.
  Result<Ext2Run> allocate_blocks(uint32_t goal, uint32_t wanted, Ext2Reserve reserve);
  // One block for metadata, zeroed and dirty. As above, and kNOMEM.
  Result<Ext2Block> allocate_metadata(uint32_t goal, Ext2Reserve reserve);
  // Freeing must not fail halfway for want of memory: who frees has the block's group resident first, and only then changes what names the
  // block. kUCLEAN, kIO, kNOMEM.
  struct Group {
    Ext2Block block;
    uint32_t index = ~0u;
    Ext2GroupDescriptor* descriptor = nullptr;
  };
  struct PinnedGroup : Group {
    Ext2Block bitmap;  // of its blocks
  };
  uint32_t group_of(uint32_t block) const { return (block - super_.first_data_block) / super_.blocks_per_group; }
  Result<PinnedGroup> pin_group(uint32_t index);
  // Neighbours in that group; allocates no memory. kUCLEAN if they were not all allocated, or hold the file system's own structures.
  Result<void> free_blocks(const PinnedGroup& group, uint32_t first, uint32_t count);
  // A free inode, near `parent`'s for files, in a roomy group for directories. kNOSPC, kIO.
  Result<uint32_t> allocate_inode(uint32_t parent, bool directory);
  Result<void> free_inode(uint32_t number, bool directory);
  // The first block of an inode's group, where its data is best put.
  uint32_t group_goal(uint32_t inode) const { return first_block_of((inode - 1) / super_.inodes_per_group); }
  // Asks the process that calls: may it use reserved blocks?
  Ext2Reserve callers_reserve() const;

  // Unlinked inodes that are still open keep the disk from being called clean.
  void orphan_made() { orphans_.fetch_add(1, memory_order_relaxed); }
  void orphan_gone() { orphans_.fetch_sub(1, memory_order_relaxed); }

  // Reports damage (a few lines, then silence) and marks the disk for e2fsck. `what` is a phrase, `number` the inode or block meant.
  Errno damaged(StringView what, uint64_t number);
  // The same for what we could not finish.
  void unfinished(StringView what, uint32_t inode, Errno error);
  // Everything of one inode's metadata (all metadata, in fact) is on the device, flushed.
  Result<void> synchronize_metadata();

 private:
  friend class Ext2InodeCache;
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  class MetadataObject final : public Object {
   public:
    using Object::Object;
    void acquire() override {}  // lives as long as the file system
    void release() override {}
  };

  Ext2FileSystem(BlockDevice& device, const Ext2Superblock& super, bool read_only, bool must_be_read_only);
  ~Ext2FileSystem() = default;
  static Result<void> check_features(const Ext2Superblock& super, StringView device, bool& read_only);
  static Result<void> check_geometry(const Ext2Superblock& super, uint64_t sectors);
  Result<void> start();

  // PageSource of the metadata object when blocks are smaller than pages.
  Result<void> read_pages(PageIndex first, std::span<const FrameNumber> frames) override;
  Result<void> write_pages(PageIndex first, std::span<const FrameNumber> frames) override;
  Result<void> prepare_write(PageIndex, uint32_t) override { return {}; }

  uint32_t first_block_of(uint32_t group) const { return super_.first_data_block + group * super_.blocks_per_group; }
  uint32_t blocks_in(uint32_t group) const;
  bool has_superblock(uint32_t group) const;
  uint32_t descriptor_blocks() const { return (group_count_ * sizeof(Ext2GroupDescriptor) + block_size_ - 1) / block_size_; }
  uint32_t table_blocks() const { return (super_.inodes_per_group * inode_size_ + block_size_ - 1) / block_size_; }
  uint32_t overhead() const;
  Result<Group> group(uint32_t index);
  bool overlaps_structures(const Group& group, uint32_t first, uint32_t count) const;
  Result<Ext2Run> allocate(uint32_t goal, uint32_t wanted, Ext2Reserve reserve, Ext2Block* metadata);
  Result<Ext2Run> allocate_in_group(uint32_t index, uint32_t from, uint32_t wanted, Ext2Block* metadata) REQUIRES(allocation_lock_);
  Result<uint32_t> allocate_inode_once(uint32_t parent, bool directory);
  Result<uint32_t> allocate_inode_in_group(uint32_t index, bool directory) REQUIRES(allocation_lock_);
  Result<uint32_t> directory_group(uint32_t parent_group) REQUIRES(allocation_lock_);

  // A block of which nothing is cached yet: zeroed, and dirty.
  Result<Ext2Block> metadata_new(uint32_t block);
  Result<void> synchronize_once(WriteBack mode);
  // The superblock on the disk: counts, and the state as `clean` says.
  Result<void> write_superblock(bool clean, WriteBack mode) REQUIRES(state_lock_);
  void note_change();
  Result<void> recount();
  static void list_add(Ext2FileSystem& file_system);
  static void list_remove(Ext2FileSystem& file_system);
  friend uint32_t ext2_inodes_shrink(uint32_t wanted);

  BlockDevice& device_;
  Ext2Superblock super_;  // as it was at mount; the geometry is what we use
  uint32_t block_shift_, block_size_, inode_size_, first_inode_, group_count_;
  uint64_t max_file_size_ = 0;
  Atomic<bool> read_only_{false};
  Atomic<bool> large_files_{false};
  MetadataObject small_blocks_;
  Object& metadata_;  // small_blocks_ or the device's
  Ext2InodeCache inodes_;
  Ref<Ext2Inode> root_;
  Ext2Block superblock_;  // resident: to say that the disk is not clean any more must not need memory

  // Bitmaps, descriptors and the counts below.
  Mutex<LockRank::kAllocation> allocation_lock_;
  Atomic<uint32_t> free_blocks_;  // changed under the lock, read without
  Atomic<uint32_t> free_inodes_;

  // The state that the disk shows. `changes_` counts metadata changes, so that sync knows whether anything came after it.
  Mutex<LockRank::kJournal> state_lock_;
  Atomic<bool> disk_says_clean_{false};
  bool was_clean_ = false;
  bool must_be_read_only_ = false;
  bool counted_mount_ = false;  // guarded by state_lock_
  Atomic<bool> errors_seen_{false};
  Atomic<uint32_t> changes_{0};
  Atomic<uint32_t> orphans_{0};
  Atomic<uint32_t> reports_{0};
  Ext2FileSystem* next_mounted_ = nullptr;  // see list_add
};

// Registers the type; boot only.
void ext2_initialize();
// Memory pressure: gives back up to `wanted` inodes that nobody uses, of all ext2 file systems; returns how many. Those that need
// no writing first; sleeps.
uint32_t ext2_inodes_shrink(uint32_t wanted);

}  // namespace faultline
