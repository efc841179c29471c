// Checks that the operations on names share.
#pragma once

#include "fs/path_walk.h"

namespace faultline {

// The walk's directory may be changed by `who`: kACCES, kROFS.
Result<void> check_directory_change(PathWalk& walk, const Credentials& who);
// The sticky bit's rule, and that of active swap files: kPERM.
Result<void> check_name_may_go(Inode& directory, Inode& victim, const Credentials& who);

}  // namespace faultline
