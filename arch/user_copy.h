// Moving bytes between the kernel and the current space's user half. These and <machine/user_inline.h> are the only
// instructions of the kernel that may touch user addresses; a fault they cannot resolve ends them early (arch/x86/user_copy.S keeps the
// fix-up table).
// Callers check nothing: addresses at or past kKernelBase fail here. They may sleep (the touch may fault in a page), so no
// lock that the fault path takes, and no spin lock, may be held.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/address.h"

namespace faultline {

// Written in assembly, which wants plain names.
extern "C" {

// Bytes NOT copied: 0 is success.
size_t user_copy_in(void* destination, VirtAddr source, size_t bytes);
size_t user_copy_out(VirtAddr destination, const void* source, size_t bytes);
size_t user_zero(VirtAddr destination, size_t bytes);

// Copies up to and including a NUL, at most `limit` bytes. Returns the length without the NUL; `limit` if there was none;
// -1 on a fault.
int32_t user_copy_string_in(char* destination, VirtAddr source, size_t limit);

// Atomic on user memory, for futexes: false on a fault.
bool user_load_u32(VirtAddr address, uint32_t& value);
bool user_compare_exchange_u32(VirtAddr address, uint32_t& expected, uint32_t desired);

}  // extern "C"

}  // namespace faultline
