// Pseudo-terminals: pty(7). Opening /dev/ptmx makes a pair: the file is the master, /dev/pts/N the terminal behind it.
#pragma once

#include "lib/result.h"

namespace faultline {

// Registers /dev/ptmx. Boot only. kNOMEM.
Result<void> pty_initialize();

}  // namespace faultline
