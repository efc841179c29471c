// What fs asks of the running process, and the time: see fs/hooks.h.
#include "process.h"

#include "arch/clock.h"
#include "fs/hooks.h"
#include "fs/inode.h"

namespace faultline {

namespace host {
bool process_is_superuser = true;
unsigned process_signals = 0;
}  // namespace host

bool current_is_superuser() { return host::process_is_superuser; }
uint64_t current_file_size_limit() { return ~0ull; }
void signal_file_size_exceeded() { host::process_signals++; }
void signal_broken_pipe() { host::process_signals++; }

Timestamp wall_time() {
  constexpr uint64_t kSecond = 1'000'000'000;
  uint64_t now = clock_monotonic();
  return {static_cast<int64_t>(clock_boot_wall_seconds() + now / kSecond), static_cast<uint32_t>(now % kSecond)};
}

}  // namespace faultline
