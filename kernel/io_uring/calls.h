// The handlers of io_uring_setup(2), io_uring_enter(2), io_uring_register(2).
#pragma once

#include "kernel/system_call.h"
#include "lib/abi/io_uring.h"

namespace faultline {

Result<uint32_t> sys_io_uring_setup(uint32_t entries, UserPtr<abi::RingParameters> parameters);
Result<uint32_t> sys_io_uring_enter(int32_t ring, uint32_t submissions, uint32_t wanted, uint32_t flags, VirtAddr argument, uint32_t bytes);
Result<uint32_t> sys_io_uring_register(int32_t ring, uint32_t operation, VirtAddr argument, uint32_t count);

}  // namespace faultline
