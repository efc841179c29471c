// set_thread_area(2): descriptors for %gs and %fs, three for each thread.
#pragma once

#include <cstdint>

#include "kernel/thread.h"
#include "mm/user_memory.h"

namespace faultline {

// struct user_desc.
struct UserTlsDescriptor {
  uint32_t entry_number;
  uint32_t base;
  uint32_t limit;
  uint32_t flags;  // seg_32bit, contents (2), read_exec_only, limit_in_pages, seg_not_present, useable
};
static_assert(sizeof(UserTlsDescriptor) == 16);

// Sets a descriptor of a thread that does not run yet (CLONE_SETTLS). kFAULT, kINVAL.
Result<void> tls_set(Thread& thread, UserPtr<UserTlsDescriptor> wanted);

}  // namespace faultline
