// The kernel's random numbers, behind /dev/random, /dev/urandom and getrandom(2).
#pragma once

#include <cstddef>
#include <cstdint>

#include "mm/io_buffer.h"

namespace faultline {

// Any context but interrupts.
void random_fill(void* destination, size_t bytes);
uint32_t random_u32();
// Sleeps in user copies. kFAULT.
Result<size_t> random_read(IoBuffer& buffer);

}  // namespace faultline
