// A place in the mounted tree: a mount and a name within its file system.
#pragma once

#include "fs/dentry.h"
#include "fs/mount.h"

namespace faultline {

struct Path {
  Ref<Mount> mount;
  Ref<Dentry> dentry;  // dropped before the mount, which may be the file system's last use

  explicit operator bool() const { return static_cast<bool>(dentry); }
  Inode* inode() const { return dentry->inode(); }
  bool operator==(const Path& other) const { return dentry == other.dentry && mount == other.mount; }
};

}  // namespace faultline
