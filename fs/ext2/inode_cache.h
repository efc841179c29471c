// The inodes of one ext2 in memory: at most one object for a number, found by hash; those nobody uses are kept, oldest first to go.
//
// Invariant: an inode's count of "debts" is the number of times its reference count will still fall, or has fallen, to zero without the
// cache having been told. Only the call that pays the last debt owns the inode, so a revival between falling and telling is harmless.
#pragma once

#include <cstdint>

#include "lib/list.h"
#include "lib/lock.h"
#include "lib/mutex.h"
#include "lib/ref.h"
#include "lib/result.h"
#include "mm/object.h"
#include "mm/slab.h"

namespace faultline {

class Ext2FileSystem;
class Ext2Inode;

class Ext2InodeCache {
 public:
  explicit Ext2InodeCache(Ext2FileSystem& file_system) : file_system_(file_system) {}
  ~Ext2InodeCache();
  Result<void> start();  // kNOMEM

  // The inode, read if need be. kUCLEAN: not in use, or senseless; kIO, kNOMEM.
  Result<Ref<Ext2Inode>> get(uint32_t number);
  // A new inode just allocated and filled in; nobody else can know its number.
  void insert(Ext2Inode& inode);
  // From Inode::last_reference_gone: kept, or deleted with its blocks if it has no links. May sleep.
  void unused(Ext2Inode& inode);
  // Deletes what could not be deleted when it was its time, for want of memory. kNOMEM: there still is none. May sleep.
  Result<void> finish_deletions();
  // For who looks for room on the disk: if there is none, those deletions are finished and it looks once more.
  template <typename Attempt>
  auto with_all_room(Attempt attempt) {
    auto result = attempt();
    if (result.ok() || result.error() != Errno::kNOSPC || !has_doomed()) return result;
    ignore_result(finish_deletions());  // what is freed may be enough
    return attempt();
  }

  // For one who found the inode without a reference (its dirty data) and knows that its memory still lives: a reference, or false if it is
  // going away. Does not sleep.
  bool try_acquire(Ext2Inode& inode);

  // Writes every inode's dirty data, and the changed inodes to the metadata cache. The first error.
  Result<void> write_back(WriteBack mode);
  // Frees up to `wanted` unused inodes, oldest first: those that need no writing, or else any. Does I/O.
  uint32_t shrink(uint32_t wanted);
  // The end: all unused inodes go, those that cannot be written too. False if some are in use.
  bool evict_all();

 private:
  static constexpr uint32_t kBuckets = 1024;
  Ext2Inode*& bucket(uint32_t number) REQUIRES(lock_) { return buckets_[number % kBuckets]; }
  Ext2Inode* find_locked(uint32_t number) REQUIRES(lock_);
  void remove_locked(Ext2Inode& inode) REQUIRES(lock_);
  void revive_locked(Ext2Inode& inode) REQUIRES(lock_);
  Ext2Inode* oldest_unused_locked() REQUIRES(lock_);
  Ext2Inode* next_to_write(uint32_t bucket_index, uint32_t epoch);
  uint32_t shrink_clean(uint32_t wanted);
  bool has_doomed();
  void forget(Ext2Inode& inode);
  Result<void> delete_or_doom(Ext2Inode& inode);
  void lose_doomed();
  enum class WithoutMemory : uint8_t { kKeep, kLose };
  bool evict(Ext2Inode& inode, WithoutMemory policy);

  Ext2FileSystem& file_system_;
  uint32_t limit_ = 0;  // of unused inodes kept
  // Held while an inode is looked up on the disk, so that none is read twice or read while being written out.
  Mutex<LockRank::kDirectory> load_lock_;
  SpinLock<LockRank::kInodeCache> lock_;
  Buffer<Ext2Inode*> buckets_ GUARDED_BY(lock_);
  uint32_t unused_count_ GUARDED_BY(lock_) = 0;
  uint32_t total_ GUARDED_BY(lock_) = 0;
  uint32_t epoch_ GUARDED_BY(lock_) = 0;
  List<Ext2Inode> unused_ GUARDED_BY(lock_);  // oldest first
  List<Ext2Inode> doomed_ GUARDED_BY(lock_);  // unlinked and unused, waiting for the memory to be deleted with
  WaitQueue evicted_;
};

}  // namespace faultline
