// What lwIP asks of the system: time, random numbers, and what to do when it finds itself wrong.
#include <lwip/sys.h>

#include "arch/clock.h"
#include "fs/devfs/random.h"
#include "kernel/net/lwip/core.h"
#include "lib/division.h"
#include "lib/log.h"

using namespace faultline;

uint32_t lwip_port_random() { return random_u32(); }

u32_t sys_now() { return static_cast<u32_t>(clock_monotonic() / 1'000'000); }

// Half of lwIP's assertions are about what others sent, so they must not end the machine; a debug build, which is for finding them, it does.
void lwip_port_assertion_failed(const char* message, const char* file, int line) {
#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG
  panic_at(file, line, message);
#else
  log(LogLevel::kError, "lwIP: {} ({}:{})", message, file, line);
#endif
}

void lwip_port_assert_locked() { DEBUG_ASSERT(network_lock.is_held()); }
