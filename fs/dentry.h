// The name cache: which inode a name in a directory stands for, negative answers included. A Path is a place in the mounted tree.
// The FS owner completes this file; Path's two members are the contract.
#pragma once

#include "fs/inode.h"
#include "lib/list.h"
#include "lib/ref.h"

namespace faultline {

class Dentry;  // RefCounted
class Mount;   // RefCounted: one file system attached to the tree

// Drops a reference to a dentry / mount without their definitions at hand.
struct Path {
  Ref<Mount> mount;
  Ref<Dentry> dentry;
};

}  // namespace faultline
