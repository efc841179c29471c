// One ext2 inode in memory: its attributes, the cache of its data, the map from data to blocks, and, for directories, the names.
//
// Locks: the content lock (the caller's) orders changes of a directory and of a file's length; map_lock_ guards where data lies; attributes are
// under a spin lock of their own, so that stat(2) never waits for I/O. The data object's size is the file's size.
#pragma once

#include <cstdint>

#include "fs/ext2/file_system.h"
#include "fs/ext2/layout.h"
#include "fs/inode.h"
#include "lib/list.h"

namespace faultline {

class Ext2Inode final : public Inode, public PageSource, public ListNode<> {
 public:
  // Reads inode `number` from the disk. kUCLEAN: not in use or senseless; kIO, kNOMEM.
  static Result<Ext2Inode*> load(Ext2FileSystem& file_system, uint32_t number);
  // A new inode under a number of its own, near `parent`'s; on the disk once stored. kNOMEM, kNOSPC, kIO.
  static Result<Ext2Inode*> create_new(Ext2FileSystem& file_system, uint32_t parent, uint32_t mode, uint32_t uid, uint32_t gid,
                                       DeviceNumber special);
  static void free_memory(Ext2Inode* inode);

  Attributes attributes() override;
  AccessAttributes access_attributes() override;
  Result<void> set_attributes(const AttributeChange& change) override;
  Result<Ref<Inode>> lookup(StringView name) override;
  Result<Ref<Inode>> create(StringView name, uint32_t mode, DeviceNumber special, const Credentials& who) override;
  Result<Ref<Inode>> make_directory(StringView name, uint32_t mode, const Credentials& who) override;
  Result<Ref<Inode>> make_symlink(StringView name, StringView target, const Credentials& who) override;
  Result<void> link(StringView name, Inode& target) override;
  Result<void> unlink(StringView name, Inode& target) override;
  Result<void> remove_directory(StringView name, Inode& target) override;
  Result<void> rename(StringView old_name, Inode& moved, Inode& new_directory, StringView new_name, Inode* replaced) override;
  Result<void> exchange(StringView name, Inode& other_directory, StringView other_name) override;
  Result<void> read_directory(uint64_t cursor, DirectorySink& sink) override;
  Result<size_t> read_link(std::span<char> buffer) override;
  Object* object() override { return type() == FileType::kRegular ? &data_ : nullptr; }
  Result<void> allocate_range(uint32_t mode, uint64_t offset, uint64_t bytes) override;
  Result<void> synchronize(bool data_only) override;
  void touch_accessed() override;
  void touch_modified() override;
  void note_mapped_write() override { touch_modified(); }

  Result<void> read_pages(PageIndex first, std::span<const FrameNumber> frames) override;
  Result<void> write_pages(PageIndex first, std::span<const FrameNumber> frames) override;
  Result<void> prepare_write(PageIndex first, uint32_t pages) override;
  Result<DiskRun> locate(uint64_t sector) override;

  // For the inode cache.
  uint32_t ino() const { return static_cast<uint32_t>(number()); }
  bool is_unlinked() const { return links_.load(memory_order_relaxed) == 0; }
  bool needs_write() const;
  // Data to the device, then the inode itself into the metadata cache.
  Result<void> write_back(WriteBack mode);
  // The last user of an unlinked inode is gone: blocks and number are freed. kNOMEM: not all of them, it is called again; what else may
  // fail has been reported.
  Result<void> delete_for_good();

 private:
  friend class Ext2InodeCache;
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  // A mapping or a reader that keeps the data keeps the inode.
  class Data final : public Object {
   public:
    Data(Ext2Inode& inode) : Object(inode, 0), inode_(inode) {}
    void acquire() override { inode_.RefCounted<Inode>::acquire(); }
    void release() override { inode_.RefCounted<Inode>::release(); }
    bool try_acquire() override { return inode_.fs_.inodes().try_acquire(inode_); }
    bool is_dirty() const { return ListNode<DirtyList>::is_linked(); }  // a hint, without the object's lock

   private:
    Ext2Inode& inode_;
  };
  // Where a name stands: the page that holds it, the entry and the one before it in the same block (null: it is the first).
  struct EntryPlace {
    PinnedFrame page;
    PageIndex index;
    Ext2DirectoryEntry* entry = nullptr;
    Ext2DirectoryEntry* previous = nullptr;
    explicit operator bool() const { return entry != nullptr; }
  };
  struct MapPath;  // see block_map.cpp
  class Truncation;

  Ext2Inode(Ext2FileSystem& file_system, uint32_t number, FileType type)
      : Inode(file_system, number, type), fs_(file_system), data_(*this) {}
  ~Ext2Inode() override = default;
  void last_reference_gone() override { fs_.inodes().unused(*this); }

  // inode.cpp
  Result<void> decode(const Ext2RawInode& raw);
  Result<void> check_size(uint64_t size);
  Result<void> check_directory();
  void encode(Ext2RawInode& raw);
  Result<void> store();
  void mark_changed() { changed_.store(true, memory_order_release); }
  void touch(bool modified);  // ctime, and mtime
  void add_links(uint32_t count) { links_.fetch_add(count, memory_order_relaxed), mark_changed(); }
  Result<void> add_name();
  Result<void> release_attribute_block();
  bool is_fast_symlink() const { return type() == FileType::kSymlink && size_in_inode_; }

  // block_map.cpp
  Result<uint32_t> find_path(uint64_t logical, uint32_t (&offsets)[4]) const;  // its depth; kFBIG
  Result<Ext2Run> map_run(uint32_t logical, uint32_t wanted);
  Result<Ext2Run> map_run_locked(uint32_t logical, uint32_t wanted) REQUIRES(map_lock_);
  Result<void> allocate_run(uint32_t logical, uint32_t count, Ext2Reserve reserve);
  Result<void> allocate_once(uint32_t logical, uint32_t count, Ext2Reserve reserve);
  Result<uint32_t> fill_hole(uint32_t logical, uint32_t wanted, Ext2Reserve reserve) REQUIRES(map_lock_);
  Result<void> punch_hole(uint64_t offset, uint64_t end);
  Result<void> prepare_blocks(uint64_t begin, uint64_t end);
  Result<void> fill_hole_pages(uint32_t logical, uint32_t count);
  void blocks_added(uint32_t last, uint32_t count) REQUIRES(map_lock_);
  uint32_t goal_for(uint32_t previous) const REQUIRES(map_lock_);
  // Frees the blocks first .. end of the file; those from `first` on. kNOMEM: not all of them, and it can be done again.
  Result<void> free_range(uint64_t first, uint64_t end);
  Result<void> free_from(uint32_t first) { return free_range(first, ~0ull); }
  Result<void> truncate(uint64_t bytes);
  void note_excess(uint64_t end);
  Result<void> trim();
  Result<void> trim_if_idle();
  uint32_t blocks_for(uint64_t bytes) const { return static_cast<uint32_t>((bytes + fs_.block_size() - 1) >> fs_.block_shift()); }

  // directory.cpp
  Result<EntryPlace> find_entry(StringView name);
  Result<void> check_entry(const Ext2DirectoryEntry& entry, uint32_t offset_in_block);
  template <typename Visit>
  Result<void> for_each_entry(uint64_t from, Visit visit);
  Result<void> add_entry(StringView name, uint32_t inode, FileType type);
  Result<void> add_block_with_entry(StringView name, uint32_t inode, FileType type);
  void fill_entry(Ext2DirectoryEntry& entry, StringView name, uint32_t inode, FileType type);
  void retarget_entry(const EntryPlace& place, uint32_t inode, FileType type);
  void find_previous(EntryPlace& place);
  void remove_entry(const EntryPlace& place);
  Result<bool> is_empty_directory();
  Result<void> write_first_entries(uint32_t parent);
  uint32_t name_length(const Ext2DirectoryEntry& entry) const { return entry.name_length | (fs_.has_file_types() ? 0 : entry.type << 8); }
  void directory_changed();

  // names.cpp
  Result<Ref<Ext2Inode>> new_inode(uint32_t mode, DeviceNumber special, const Credentials& who);
  Result<void> publish(StringView name, Ext2Inode& child);
  Result<void> may_change() const;
  Result<EntryPlace> find_child(StringView name, const Inode& child);
  void drop_links(uint32_t count);
  void lose_child_directory();
  Result<EntryPlace> parent_entry();
  void set_parent(const EntryPlace& up, uint32_t parent);

  Ext2FileSystem& fs_;

  // Attributes.
  mutable SpinLock<LockRank::kLeaf> attribute_lock_;
  uint32_t mode_ GUARDED_BY(attribute_lock_) = 0;  // with the type
  uint32_t uid_ GUARDED_BY(attribute_lock_) = 0, gid_ GUARDED_BY(attribute_lock_) = 0;
  Timestamp accessed_ GUARDED_BY(attribute_lock_), modified_ GUARDED_BY(attribute_lock_), status_changed_ GUARDED_BY(attribute_lock_);
  Atomic<uint32_t> links_{0};
  Atomic<bool> changed_{false};  // differs from the inode table's copy
  uint32_t deleted_at_ = 0;      // the deletion time, set as the last thing
  uint32_t generation_ = 0;
  Atomic<uint32_t> flags_{0};
  bool is_new_ = false;         // nothing of the old inode in its place is to be kept
  bool size_in_inode_ = false;  // a fast symlink

  // Where data lies. A device's number stands in the first pointers, a fast symlink's target in all of them.
  Mutex<LockRank::kBlockMap> map_lock_;
  uint32_t block_[kExt2Pointers] GUARDED_BY(map_lock_) = {};
  Atomic<uint32_t> sectors_{0};  // i_blocks; changed under map_lock_
  uint32_t attribute_block_ GUARDED_BY(map_lock_) = 0;
  uint32_t last_allocated_ GUARDED_BY(map_lock_) = 0;
  Atomic<uint64_t> excess_end_{0};  // there may be blocks past the end of file, up to here; 0: none

  // Directories.
  Atomic<uint32_t> parent_{0};
  uint32_t free_hint_ = 0;  // no room for a new name in blocks before this one; the content lock guards it

  // The inode cache's.
  Ext2Inode* next_in_bucket_ = nullptr;
  uint32_t debts_ = 1;
  uint32_t epoch_ = 0;
  bool evicting_ = false;  // going away: no new references

  Data data_;
};

}  // namespace faultline
