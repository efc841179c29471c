// Open files of /proc.
#pragma once

#include "fs/proc/proc.h"

namespace faultline {

Result<Ref<File>> proc_file_open(Ref<Inode> inode, const ProcNode& node, const ProcContext& context, uint32_t flags);

}  // namespace faultline
