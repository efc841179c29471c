// The inode cache: see inode_cache.h.
#include "fs/ext2/inode_cache.h"

#include <algorithm>

#include "fs/ext2/file_system.h"
#include "fs/ext2/inode.h"
#include "lib/log.h"
#include "mm/frames.h"
#include "mm/reclaim.h"

namespace faultline {

namespace {
// Unused inodes may take about this part of memory: one for so many frames, within bounds.
constexpr uint32_t kFramesPerInode = 16, kFewest = 64, kMost = 8192;
}  // namespace

Result<void> Ext2InodeCache::start() {
  Buffer<Ext2Inode*> buckets = TRY(Buffer<Ext2Inode*>::create(kBuckets));
  for (uint32_t i = 0; i < kBuckets; i++) buckets[i] = nullptr;
  limit_ = std::clamp(frame_statistics().total / kFramesPerInode, kFewest, kMost);
  LockGuard guard(lock_);
  buckets_ = std::move(buckets);
  return {};
}

Ext2InodeCache::~Ext2InodeCache() { ASSERT(total_ == 0); }

Ext2Inode* Ext2InodeCache::find_locked(uint32_t number) {
  for (Ext2Inode* inode = bucket(number); inode; inode = inode->next_in_bucket_)
    if (inode->ino() == number) return inode;
  return nullptr;
}

void Ext2InodeCache::remove_locked(Ext2Inode& inode) {
  Ext2Inode** link = &bucket(inode.ino());
  while (*link != &inode) link = &(*link)->next_in_bucket_;
  *link = inode.next_in_bucket_;
  total_--;
}

// In front: one of the same number that is being deleted may not have left yet.
void Ext2InodeCache::insert(Ext2Inode& inode) {
  LockGuard guard(lock_);
  Ext2Inode*& head = bucket(inode.ino());
  inode.next_in_bucket_ = head;
  head = &inode;
  total_++;
}

// Makes a reference to an inode that may have none.
void Ext2InodeCache::revive_locked(Ext2Inode& inode) {
  if (inode.try_acquire()) return;
  inode.revive();
  inode.debts_++;
  if (inode.is_linked()) {
    unused_.remove(inode);
    unused_count_--;
  }
}

bool Ext2InodeCache::try_acquire(Ext2Inode& inode) {
  LockGuard guard(lock_);
  if (inode.evicting_) return false;
  revive_locked(inode);
  return true;
}

Result<Ref<Ext2Inode>> Ext2InodeCache::get(uint32_t number) {
  for (;;) {
    bool must_wait = false;
    {
      LockGuard guard(lock_);
      if (Ext2Inode* inode = find_locked(number)) {
        if (!inode->evicting_) {
          revive_locked(*inode);
          return Ref<Ext2Inode>::adopt(inode);
        }
        if (inode->is_unlinked()) return file_system_.damaged("a directory names the unused inode", number);
        must_wait = true;
      }
    }
    if (must_wait) {
      auto is_gone = [this, number] {
        LockGuard guard(lock_);
        Ext2Inode* inode = find_locked(number);
        return !inode || !inode->evicting_;
      };
      TRY(wait_until(evicted_, is_gone));
      continue;
    }
    LockGuard load(load_lock_);
    {
      LockGuard guard(lock_);
      if (find_locked(number)) continue;
    }
    Result<Ext2Inode*> loaded = Ext2Inode::load(file_system_, number);
    if (!loaded.ok() && loaded.error() == Errno::kNOMEM && shrink_clean(16) != 0) loaded = Ext2Inode::load(file_system_, number);
    Ext2Inode* inode = TRY(loaded);
    insert(*inode);
    return Ref<Ext2Inode>::adopt(inode);
  }
}

void Ext2InodeCache::unused(Ext2Inode& inode) {
  Ext2Inode* dead = nullptr;
  Ext2Inode* victim = nullptr;
  {
    LockGuard guard(lock_);
    if (--inode.debts_ != 0) return;
    if (inode.is_unlinked()) {
      inode.evicting_ = true;
      dead = &inode;
    } else {
      unused_.push_back(inode);
      unused_count_++;
      if (unused_count_ > limit_) victim = oldest_unused_locked();
    }
  }
  if (dead) ignore_result(delete_or_doom(*dead));  // it will be tried again
  if (victim) evict(*victim, WithoutMemory::kKeep);
}

// Nobody uses this one, and it is in no queue.
void Ext2InodeCache::forget(Ext2Inode& inode) {
  {
    LockGuard guard(lock_);
    remove_locked(inode);
  }
  Ext2Inode::free_memory(&inode);
}

Result<void> Ext2InodeCache::delete_or_doom(Ext2Inode& inode) {
  Result<void> deleted = inode.delete_for_good();
  if (deleted.ok()) {
    forget(inode);
  } else {
    LockGuard guard(lock_);
    doomed_.push_back(inode);
  }
  return deleted;
}

bool Ext2InodeCache::has_doomed() {
  LockGuard guard(lock_);
  return !doomed_.is_empty();
}

Result<void> Ext2InodeCache::finish_deletions() {
  for (;;) {
    Ext2Inode* inode;
    {
      LockGuard guard(lock_);
      inode = doomed_.pop_front();
    }
    if (!inode) return {};
    TRY(delete_or_doom(*inode));
  }
}

// Unmounting has tried everything. Their blocks stay taken, and the disk says that it is not clean.
void Ext2InodeCache::lose_doomed() {
  for (;;) {
    Ext2Inode* inode;
    {
      LockGuard guard(lock_);
      inode = doomed_.pop_front();
    }
    if (!inode) return;
    file_system_.unfinished("was not deleted", inode->ino(), Errno::kNOMEM);
    forget(*inode);
  }
}

// Takes the oldest one out of the queue, to be evicted.
Ext2Inode* Ext2InodeCache::oldest_unused_locked() {
  Ext2Inode* inode = unused_.pop_front();
  if (!inode) return nullptr;
  unused_count_--;
  inode->evicting_ = true;
  return inode;
}

// Writes an inode out and frees it; nobody can find it meanwhile. One that cannot be written is lost, for the disk has failed; but if it
// is for want of memory it may stay: false.
bool Ext2InodeCache::evict(Ext2Inode& inode, WithoutMemory policy) {
  Result<void> written = inode.write_back(WriteBack::kWait);
  const bool stays = !written.ok() && written.error() == Errno::kNOMEM && policy == WithoutMemory::kKeep;
  if (!written.ok() && !stays) file_system_.unfinished("cannot be written", inode.ino(), written.error());
  {
    LockGuard guard(lock_);
    if (stays) {
      inode.evicting_ = false;
      unused_.push_back(inode);
      unused_count_++;
    } else {
      remove_locked(inode);
    }
  }
  evicted_.wake_all();
  if (!stays) Ext2Inode::free_memory(&inode);
  return !stays;
}

// Only inodes that cost no I/O.
uint32_t Ext2InodeCache::shrink_clean(uint32_t wanted) {
  uint32_t freed = 0;
  while (freed < wanted) {
    Ext2Inode* found = nullptr;
    {
      LockGuard guard(lock_);
      for (Ext2Inode& inode : unused_) {
        if (inode.needs_write()) continue;
        found = &inode;
        inode.evicting_ = true;
        unused_.remove(inode);
        unused_count_--;
        remove_locked(inode);
        break;
      }
    }
    if (!found) break;
    Ext2Inode::free_memory(found);
    freed++;
  }
  return freed;
}

uint32_t Ext2InodeCache::shrink(uint32_t wanted) {
  uint32_t freed = shrink_clean(wanted);
  if (freed != 0) return freed;
  for (; freed < wanted; freed++) {
    Ext2Inode* inode;
    {
      LockGuard guard(lock_);
      inode = oldest_unused_locked();
    }
    if (!inode || !evict(*inode, WithoutMemory::kKeep)) break;
  }
  return freed;
}

bool Ext2InodeCache::evict_all() {
  lose_doomed();
  WithoutMemory policy = WithoutMemory::kKeep;
  for (;;) {
    Ext2Inode* inode;
    {
      LockGuard guard(lock_);
      inode = oldest_unused_locked();
      if (!inode) return total_ == 0;
    }
    policy = evict(*inode, policy) || reclaim_with_write_back() ? WithoutMemory::kKeep : WithoutMemory::kLose;
  }
}

// The next inode of a bucket that was not looked at in this round and must be written, with a reference.
Ext2Inode* Ext2InodeCache::next_to_write(uint32_t bucket_index, uint32_t epoch) {
  LockGuard guard(lock_);
  for (Ext2Inode* inode = buckets_[bucket_index]; inode; inode = inode->next_in_bucket_) {
    if (inode->epoch_ == epoch || inode->evicting_) continue;
    inode->epoch_ = epoch;
    if (!inode->needs_write()) continue;
    revive_locked(*inode);
    return inode;
  }
  return nullptr;
}

Result<void> Ext2InodeCache::write_back(WriteBack mode) {
  if (limit_ == 0) return {};  // never started
  uint32_t epoch;
  {
    LockGuard guard(lock_);
    epoch = ++epoch_;
  }
  Result<void> result;
  for (uint32_t i = 0; i < kBuckets; i++) {
    while (Ext2Inode* inode = next_to_write(i, epoch)) {
      Ref<Ext2Inode> reference = Ref<Ext2Inode>::adopt(inode);
      Result<void> written = inode->write_back(mode);
      if (!written.ok() && result.ok()) result = written;
    }
  }
  return result;
}

}  // namespace faultline
