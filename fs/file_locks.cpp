// Advisory locks. An owner's locks never overlap; setting a range first carves it out of what the owner has, then adds it.
#include "fs/file_locks.h"

#include "mm/slab.h"

namespace faultline {

namespace {

bool overlap(const LockRange& a, const LockRange& b) { return a.first <= b.last && b.first <= a.last; }

}  // namespace

// Memory allocated before the spin lock is taken, and locks to free after it.
struct FileLocks::Spares {
  FileLock* fresh[2] = {};
  List<FileLock> dead;
  ~Spares() {
    for (FileLock* lock : fresh)
      if (lock) slab_delete(lock);
    while (FileLock* lock = dead.pop_front()) slab_delete(lock);
  }
  Result<void> fill() {
    for (FileLock*& lock : fresh) lock = TRY(slab_new<FileLock>());
    return {};
  }
  FileLock* take() { return fresh[0] ? std::exchange(fresh[0], nullptr) : std::exchange(fresh[1], nullptr); }
};

Result<FileLocks*> FileLocks::create() { return slab_new<FileLocks>(); }

// Its inode is gone: nobody else can see it.
void FileLocks::destroy(FileLocks* locks) NO_THREAD_SAFETY_ANALYSIS {
  while (FileLock* lock = locks->held_.pop_front()) slab_delete(lock);
  slab_delete(locks);
}

FileLock* FileLocks::conflict_locked(LockFamily family, FileLockKind kind, LockRange range, const void* owner) {
  for (FileLock& lock : held_)
    if (lock.family == family && lock.owner != owner && overlap(lock.range, range) &&
        (kind == FileLockKind::kWrite || lock.kind == FileLockKind::kWrite))
      return &lock;
  return nullptr;
}

// At most one lock is split in two, which takes one spare.
void FileLocks::carve_locked(LockFamily family, LockRange range, const void* owner, Spares& spares) {
  for (FileLock& lock : held_) {
    if (lock.family != family || lock.owner != owner || !overlap(lock.range, range)) continue;
    bool keeps_left = lock.range.first<range.first, keeps_right = lock.range.last> range.last;
    if (keeps_left && keeps_right) {
      FileLock* right = spares.take();
      right->family = family;
      right->kind = lock.kind;
      right->owner = owner;
      right->process = lock.process;
      right->range = {range.last + 1, lock.range.last};
      lock.range.last = range.first - 1;
      held_.push_back(*right);
      return;
    }
    if (keeps_left) {
      lock.range.last = range.first - 1;
    } else if (keeps_right) {
      lock.range.first = range.last + 1;
    } else {
      held_.remove(lock);
      spares.dead.push_back(lock);
    }
  }
}

Result<void> FileLocks::set(LockFamily family, FileLockKind kind, LockRange range, const void* owner, int32_t process, bool waits) {
  Spares spares;
  TRY(spares.fill());
  auto try_set = [&] {
    LockGuard guard(lock_);
    if (conflict_locked(family, kind, range, owner)) return false;
    carve_locked(family, range, owner, spares);
    FileLock* lock = spares.take();
    lock->family = family;
    lock->kind = kind;
    lock->range = range;
    lock->owner = owner;
    lock->process = process;
    held_.push_back(*lock);
    return true;
  };
  if (!try_set()) {
    if (!waits) return Errno::kAGAIN;
    Result<void> waited = wait_until(changed_, try_set, SleepKind::kInterruptible);
    if (!waited.ok()) return waited.error() == Errno::kINTR ? Errno::kRESTARTSYS : waited.error();
  }
  changed_.wake_all();  // a write lock may have become a read lock
  return {};
}

Result<void> FileLocks::clear(LockFamily family, LockRange range, const void* owner) {
  Spares spares;
  TRY(spares.fill());
  {
    LockGuard guard(lock_);
    carve_locked(family, range, owner, spares);
  }
  changed_.wake_all();
  return {};
}

bool FileLocks::find_conflict(LockFamily family, FileLockKind kind, LockRange range, const void* owner, FileLock& found) {
  LockGuard guard(lock_);
  FileLock* lock = conflict_locked(family, kind, range, owner);
  if (!lock) return false;
  found.kind = lock->kind;
  found.range = lock->range;
  found.process = lock->process;
  return true;
}

void FileLocks::drop_owner(const void* owner) {
  List<FileLock> dead;
  {
    LockGuard guard(lock_);
    for (FileLock& lock : held_) {
      if (lock.owner != owner) continue;
      held_.remove(lock);
      dead.push_back(lock);
    }
  }
  if (dead.is_empty()) return;
  while (FileLock* lock = dead.pop_front()) slab_delete(lock);
  changed_.wake_all();
}

}  // namespace faultline
