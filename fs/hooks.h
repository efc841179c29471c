// What fs asks of the process that runs it; kernel/files/hooks.cpp answers (an upward need, inverted).
#pragma once

#include <cstdint>

namespace faultline {

uint64_t current_file_size_limit();  // RLIMIT_FSIZE, bytes
void signal_file_size_exceeded();    // SIGXFSZ to the calling thread
void signal_broken_pipe();           // SIGPIPE to the calling thread
bool current_is_superuser();         // may use a disk's reserved blocks; true for the kernel's own threads

}  // namespace faultline
