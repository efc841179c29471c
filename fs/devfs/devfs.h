// /dev: a tmpfs instance whose nodes follow the registered devices.
#pragma once

#include "fs/path.h"
#include "lib/result.h"

namespace faultline {

// Boot, after the drivers: makes the file system with the nodes registered so far, and its fixed links.
Result<void> devfs_initialize();
// The file system, to be attached at /dev (again after a chroot-like pivot). Empty before devfs_initialize.
Ref<Mount> devfs_mount();

// Nodes that come and go; nothing happens before devfs_initialize. `name` may have one directory ("pts/3"). kNOMEM, kEXIST.
Result<void> devfs_add(StringView name, uint32_t mode, DeviceNumber number, uint32_t uid = 0);
void devfs_remove(StringView name);

// null, zero, full, random, urandom.
Result<void> memory_devices_register();

}  // namespace faultline
