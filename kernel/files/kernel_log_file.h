// /dev/kmsg: the kernel's log as records, and a place to write lines into it.
#pragma once

#include "lib/result.h"

namespace faultline {

Result<void> kernel_log_register();

}  // namespace faultline
