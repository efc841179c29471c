// rename(2) with all its rules. Lock order: the rename mutex (when two directories take part), the ancestor of the two directories, the
// other one, a directory that is replaced.
#include "fs/path_operations.h"
#include "lib/late.h"
#include "lib/mutex.h"

namespace faultline {

namespace {

constinit Late<Mutex<LockRank::kRename>> rename_mutex;

// Locks one or two directories, the ancestor first; with two, nobody else is renaming across directories.
class TwoDirectoryLock {
 public:
  TwoDirectoryLock(Path& one, Path& other) : first_(one.inode()), second_(other.inode()) {
    if (first_ == second_) {
      second_ = nullptr;
    } else {
      rename_mutex->lock();
      if (one.dentry->is_below(*other.dentry)) std::swap(first_, second_);
    }
    first_->content_lock().lock();
    if (second_) second_->content_lock().lock();
  }
  ~TwoDirectoryLock() {
    if (second_) second_->content_lock().unlock();
    first_->content_lock().unlock();
    if (second_) rename_mutex->unlock();
  }
  TwoDirectoryLock(const TwoDirectoryLock&) = delete;
  TwoDirectoryLock& operator=(const TwoDirectoryLock&) = delete;

 private:
  Inode* first_;
  Inode* second_;
};

Result<void> may_move(PathWalk& walk, Inode& moved, bool changes_parent, const Credentials& who) {
  TRY(check_directory_change(walk, who));
  TRY(check_name_may_go(walk.directory(), moved, who));
  if (!moved.is_directory() || !changes_parent) return {};
  AccessAttributes access = moved.access_attributes();  // its ".." is rewritten
  return permission_check(who, access.mode, access.uid, access.gid, kMayWrite);
}

struct Ends {
  PathWalk& from;
  PathWalk& to;
  const Credentials& who;
  bool changes_parent() { return &from.directory() != &to.directory(); }
};

// Both names are looked up under the locks; what may replace what.
Result<void> check_types(Ends& ends, Dentry& moved, Dentry& target, uint32_t flags) {
  bool moves_directory = moved.inode()->is_directory();
  if (!moves_directory && ends.from.has_trailing_slash()) return Errno::kNOTDIR;
  if (!moves_directory && !(flags & kRenameExchange) && ends.to.has_trailing_slash()) return Errno::kNOTDIR;
  if (ends.to.place().dentry->is_below(moved)) return Errno::kINVAL;
  if (Inode* replaced = target.inode()) {
    if (flags & kRenameNoReplace) return Errno::kEXIST;
    bool onto_directory = replaced->is_directory();
    if (ends.from.place().dentry->is_below(target)) return flags & kRenameExchange ? Errno::kINVAL : Errno::kNOTEMPTY;
    if (flags & kRenameExchange) return {};
    if (moves_directory && !onto_directory) return Errno::kNOTDIR;
    if (!moves_directory && onto_directory) return Errno::kISDIR;
  } else if (flags & kRenameExchange) {
    return Errno::kNOENT;
  }
  return {};
}

Result<void> rename_locked(Ends& ends, uint32_t flags, Ref<Inode>& moved_inode, Ref<Inode>& replaced) {
  Ref<Dentry> moved = TRY(ends.from.look_up_last_locked());
  if (moved->is_negative()) return Errno::kNOENT;
  Ref<Dentry> target = TRY(ends.to.look_up_last_locked());
  moved_inode = Ref<Inode>(*moved->inode());
  if (!target->is_negative()) replaced = Ref<Inode>(*target->inode());
  if (ends.to.place().dentry->is_deleted() || ends.from.place().dentry->is_deleted()) return Errno::kNOENT;
  TRY(check_types(ends, *moved, *target, flags));
  if (moved_inode == replaced) return {};  // two names of one inode: nothing to do, says POSIX
  TRY(may_move(ends.from, *moved_inode, ends.changes_parent(), ends.who));
  TRY(check_directory_change(ends.to, ends.who));
  if (replaced) TRY(check_name_may_go(ends.to.directory(), *replaced, ends.who));
  if (moved->is_mount_point() || target->is_mount_point()) return Errno::kBUSY;

  Inode& directory = ends.from.directory();
  if (flags & kRenameExchange) {
    TRY(may_move(ends.to, *replaced, ends.changes_parent(), ends.who));
    TRY(directory.exchange(ends.from.last(), ends.to.directory(), ends.to.last()));
    DentryCache::exchange(*moved, *target);
    return {};
  }
  auto perform = [&]() -> Result<void> {
    TRY(directory.rename(ends.from.last(), *moved_inode, ends.to.directory(), ends.to.last(), replaced.get()));
    DentryCache::move(*moved, *target);
    return {};
  };
  if (!replaced || !replaced->is_directory()) return perform();
  LockGuard guard(replaced->content_lock());  // nobody creates in it between the look and its end
  return perform();
}

}  // namespace

void rename_initialize() { rename_mutex.construct(); }

Result<void> path_rename(const NameCaller& from, StringView old_name, const NameCaller& to, StringView new_name, uint32_t flags) {
  if (flags & ~(kRenameNoReplace | kRenameExchange)) return Errno::kINVAL;
  if (flags == (kRenameNoReplace | kRenameExchange)) return Errno::kINVAL;
  PathWalk old_walk(from), new_walk(to);
  TRY(old_walk.start(old_name));
  TRY(old_walk.to_parent());
  TRY(new_walk.start(new_name));
  TRY(new_walk.to_parent());
  if (!(old_walk.place().mount == new_walk.place().mount)) return Errno::kXDEV;
  if (old_walk.last_is_special()) return Errno::kBUSY;
  if (new_walk.last_is_special()) return flags & kRenameNoReplace ? Errno::kEXIST : Errno::kBUSY;
  Ref<Inode> moved, replaced;  // outlive the locks: the replaced inode's blocks may take long to free
  Ends ends{old_walk, new_walk, from.who};
  TwoDirectoryLock lock(old_walk.place(), new_walk.place());
  return rename_locked(ends, flags, moved, replaced);
}

}  // namespace faultline
