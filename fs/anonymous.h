// Inodes without a name: pipes, eventfd and their like. They belong to one internal file system that nobody mounts.
#pragma once

#include "fs/inode.h"

namespace faultline {

// An inode that only carries attributes. kNOMEM.
Result<Ref<Inode>> anonymous_inode_create(FileType type, uint32_t permissions, const Credentials& who);
bool is_anonymous(const Inode& inode);
void anonymous_initialize();  // boot

}  // namespace faultline
