// Open files of the ordinary types; Inode::open makes them. All may sleep; kNOMEM.
#pragma once

#include "fs/file.h"

namespace faultline {

// Reads and writes through inode->object().
Result<Ref<File>> open_regular_file(Ref<Inode> inode, uint32_t flags);
// Reads entries through inode->read_directory().
Result<Ref<File>> open_directory_file(Ref<Inode> inode, uint32_t flags);
// The raw device's cache. kNXIO if there is no such device.
Result<Ref<File>> open_block_device_file(Ref<Inode> inode, DeviceNumber number, uint32_t flags);
// An end of the inode's pipe; waits for the other one as fifo(7) says. kNXIO, kRESTARTSYS.
Result<Ref<File>> open_fifo(Ref<Inode> inode, uint32_t flags);

}  // namespace faultline
