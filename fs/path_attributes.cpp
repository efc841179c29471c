// Questions and changes of a place's attributes: access(2), chmod(2), chown(2), utimensat(2), truncate(2).
#include "fs/namespace.h"

namespace faultline {

Result<void> path_permission(const Path& path, const Credentials& who, uint32_t wanted) {
  Inode& inode = *path.inode();
  AccessAttributes access = inode.access_attributes();
  TRY(permission_check(who, access.mode, access.uid, access.gid, wanted));
  FileType type = inode.type();
  bool stored_here = type == FileType::kRegular || type == FileType::kDirectory || type == FileType::kSymlink;
  if ((wanted & kMayWrite) && stored_here && path.mount->is_read_only()) return Errno::kROFS;
  return {};
}

namespace {

Result<void> check_owner_change(const AccessAttributes& now, const Credentials& who, const AttributeChange& change) {
  if (who.fsuid == 0) return {};
  if ((change.which & AttributeChange::kUid) && (who.fsuid != now.uid || change.uid != now.uid)) return Errno::kPERM;
  if (change.which & AttributeChange::kGid)
    if (who.fsuid != now.uid || (change.gid != now.gid && !who.is_member(change.gid))) return Errno::kPERM;
  return {};
}

Result<void> check_size_change(const Path& path, const Credentials& who) {
  if (path.inode()->is_directory()) return Errno::kISDIR;
  if (path.inode()->type() != FileType::kRegular) return Errno::kINVAL;
  return path_permission(path, who, kMayWrite);
}

}  // namespace

Result<void> path_set_attributes(const Path& path, const Credentials& who, const AttributeChange& wanted, bool times_are_now) {
  constexpr uint32_t kTimes = AttributeChange::kAccessed | AttributeChange::kModified;
  constexpr uint32_t kOwner = AttributeChange::kUid | AttributeChange::kGid;
  Inode& inode = *path.inode();
  AttributeChange change = wanted;
  AccessAttributes now = inode.access_attributes();
  bool owns = who.fsuid == 0 || who.fsuid == now.uid;
  if (path.mount && path.mount->is_read_only()) return Errno::kROFS;
  if (change.which & AttributeChange::kSize) TRY(check_size_change(path, who));
  if (change.which & kTimes && !owns) {
    if (!times_are_now) return Errno::kPERM;
    TRY(path_permission(path, who, kMayWrite));
  }
  if (change.which & AttributeChange::kMode) {
    if (!owns) return Errno::kPERM;
    change.mode = (now.mode & kTypeMask) | (change.mode & kModeMask);
    if (who.fsuid != 0 && !who.is_member(now.gid)) change.mode &= ~02000u;
  }
  if (change.which & kOwner) {
    TRY(check_owner_change(now, who, change));
    uint32_t lost = now.mode & 010 ? 06000 : 04000;  // a new owner must not inherit set-id powers
    if (!(change.which & AttributeChange::kMode) && !inode.is_directory() && (now.mode & lost)) {
      change.which |= AttributeChange::kMode;
      change.mode = now.mode & ~lost;
    }
  }
  if (!(change.which & AttributeChange::kSize)) return inode.set_attributes(change);
  if (!inode.begin_writing()) return Errno::kTXTBSY;
  Result<void> result = inode.set_attributes(change);
  inode.end_writing();
  return result;
}

}  // namespace faultline
