// Making and removing names: mknod, mkdir, symlink, link, unlink, rmdir. The directory's content lock is held from the last look at
// the name until the change is in the cache too.
#include "fs/path_operations.h"

namespace faultline {

// Write and search permission on a directory that is about to change.
Result<void> check_directory_change(PathWalk& walk, const Credentials& who) {
  AccessAttributes access = walk.directory().access_attributes();
  TRY(permission_check(who, access.mode, access.uid, access.gid, kMayWrite | kMayExecute));
  if (walk.place().mount->is_read_only()) return Errno::kROFS;
  return {};
}

// In a sticky directory only the owner of the name's inode, of the directory, and root remove or rename. Nobody does what memory is swapped to.
Result<void> check_name_may_go(Inode& directory, Inode& victim, const Credentials& who) {
  if (victim.is_swapped_to()) return Errno::kPERM;
  AccessAttributes access = directory.access_attributes();
  if ((access.mode & 01000) == 0 || who.fsuid == 0 || who.fsuid == access.uid) return {};
  return victim.access_attributes().uid == who.fsuid ? Result<void>() : Errno::kPERM;
}

namespace {

enum class Making : uint8_t { kDirectory, kOther };

// Walks to the directory, checks that the name is free and may be made, and lets `make(directory, name)` make it. Returns its place.
template <typename Make>
Result<Path> make_entry(const NameCaller& caller, StringView name, Making what, Make make) {
  PathWalk walk(caller);
  TRY(walk.start(name));
  TRY(walk.to_parent());
  if (walk.last_is_special()) return Errno::kEXIST;
  Inode& directory = walk.directory();
  LockGuard guard(directory.content_lock());
  Ref<Dentry> child = TRY(walk.look_up_last_locked());
  if (!child->is_negative()) return Errno::kEXIST;
  if (walk.place().dentry->is_deleted()) return Errno::kNOENT;
  if (walk.has_trailing_slash() && what != Making::kDirectory) return Errno::kNOENT;
  TRY(check_directory_change(walk, caller.who));
  DentryCache::instantiate(*child, TRY(make(directory, walk.last())));
  return Path{walk.place().mount, std::move(child)};
}

Result<void> without_place(const Result<Path>& made) { return made.ok() ? Result<void>() : made.error(); }

}  // namespace

Result<Path> path_make_node(const NameCaller& caller, StringView name, uint32_t mode, DeviceNumber special) {
  uint32_t type = mode & kTypeMask;
  bool is_device = type == static_cast<uint32_t>(FileType::kCharacterDevice) || type == static_cast<uint32_t>(FileType::kBlockDevice);
  if (type == 0) mode |= static_cast<uint32_t>(FileType::kRegular);
  if (type == static_cast<uint32_t>(FileType::kDirectory)) return Errno::kPERM;
  if (type == static_cast<uint32_t>(FileType::kSymlink)) return Errno::kINVAL;
  if (is_device && caller.who.fsuid != 0) return Errno::kPERM;
  mode &= ~caller.names.umask();
  return make_entry(caller, name, Making::kOther,
                    [&](Inode& directory, StringView last) { return directory.create(last, mode, special, caller.who); });
}

Result<void> path_make_directory(const NameCaller& caller, StringView name, uint32_t mode) {
  uint32_t bits = mode & 01777 & ~caller.names.umask();
  return without_place(make_entry(caller, name, Making::kDirectory, [&](Inode& directory, StringView last) {
    return directory.make_directory(last, bits | static_cast<uint32_t>(FileType::kDirectory), caller.who);
  }));
}

Result<void> path_make_symlink(const NameCaller& caller, StringView target, StringView name) {
  if (target.empty()) return Errno::kNOENT;
  return without_place(make_entry(caller, name, Making::kOther,
                                  [&](Inode& directory, StringView last) { return directory.make_symlink(last, target, caller.who); }));
}

Result<void> path_link(const Path& target, const NameCaller& caller, StringView name) {
  Inode& inode = *target.inode();
  if (inode.is_directory()) return Errno::kPERM;
  return without_place(make_entry(caller, name, Making::kOther, [&](Inode& directory, StringView last) -> Result<Ref<Inode>> {
    if (&directory.file_system() != &inode.file_system()) return Errno::kXDEV;
    TRY(directory.link(last, inode));
    return Ref<Inode>(inode);
  }));
}

Result<void> path_unlink(const NameCaller& caller, StringView name) {
  PathWalk walk(caller);
  TRY(walk.start(name));
  TRY(walk.to_parent());
  if (walk.last_is_special()) return Errno::kISDIR;
  Inode& directory = walk.directory();
  Ref<Inode> victim;  // outlives the lock: its blocks may take long to free
  LockGuard guard(directory.content_lock());
  Ref<Dentry> child = TRY(walk.look_up_last_locked());
  if (child->is_negative()) return Errno::kNOENT;
  victim = Ref<Inode>(*child->inode());
  if (walk.has_trailing_slash() && !victim->is_directory()) return Errno::kNOTDIR;
  TRY(check_directory_change(walk, caller.who));
  TRY(check_name_may_go(directory, *victim, caller.who));
  if (victim->is_directory()) return Errno::kISDIR;
  if (child->is_mount_point()) return Errno::kBUSY;
  TRY(directory.unlink(walk.last(), *victim));
  DentryCache::removed(*child);
  return {};
}

Result<void> path_remove_directory(const NameCaller& caller, StringView name) {
  PathWalk walk(caller);
  TRY(walk.start(name));
  TRY(walk.to_parent());
  if (walk.last() == ".") return Errno::kINVAL;
  if (walk.last() == "..") return Errno::kNOTEMPTY;
  if (walk.last_is_special()) return Errno::kBUSY;
  Inode& directory = walk.directory();
  Ref<Inode> victim;
  LockGuard guard(directory.content_lock());
  Ref<Dentry> child = TRY(walk.look_up_last_locked());
  if (child->is_negative()) return Errno::kNOENT;
  victim = Ref<Inode>(*child->inode());
  if (!victim->is_directory()) return Errno::kNOTDIR;
  TRY(check_directory_change(walk, caller.who));
  TRY(check_name_may_go(directory, *victim, caller.who));
  if (child->is_mount_point()) return Errno::kBUSY;
  LockGuard victim_guard(victim->content_lock());  // nobody creates in it between the look and the removal
  TRY(directory.remove_directory(walk.last(), *victim));
  DentryCache::removed(*child);
  return {};
}

}  // namespace faultline
