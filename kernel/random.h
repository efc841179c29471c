// Random bytes for programs: getrandom(2), /dev/urandom, AT_RANDOM. A ChaCha20 stream (RFC 8439), seeded from the processor's source or
// its counters and re-keyed after each use.
#pragma once

#include <cstddef>

namespace faultline {

// Any context but interrupts.
void random_fill(void* destination, size_t bytes);

}  // namespace faultline
