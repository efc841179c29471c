// The core's lock, and the thread that runs lwIP when nobody calls it: see core.h.
#include "kernel/net/lwip/core.h"

#include <lwip/init.h>

#include "arch/clock.h"
#include "kernel/net/lwip/ethernet.h"
#include "kernel/net/lwip/loopback.h"
#include "kernel/net/lwip/memory.h"
#include "kernel/net/lwip/timers.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/scheduling.h"

namespace faultline {

constinit NetworkLock network_lock;

namespace {

constinit Atomic<Thread*> net_thread{nullptr};  // null: not started

// Sleeps until a frame arrives or the next timer is due; takes frames by the ring, and lets others have the core in between.
void network_loop(void*) {
  for (;;) {
    bool more;
    uint64_t next;
    {
      NetworkCore core;
      more = ethernet_receive();
      timers_run(clock_monotonic());
      more |= loopback_is_pending();
      next = timers_next();
    }
    if (more)
      yield();
    else
      ignore_result(block(SleepKind::kUninterruptible, Deadline{next}));  // ends by time, or network_wake()
  }
}

}  // namespace

Result<void> network_start() {
  if (net_thread.load(memory_order_acquire)) return {};
  LockGuard guard(network_lock);
  if (net_thread.load(memory_order_relaxed)) return {};  // somebody else was first
  static constinit bool initialized = false;             // lwIP, by one who then had no memory for the thread
  if (!initialized) {
    memory_initialize();
    lwip_init();
    loopback_initialize();
    initialized = true;
  }
  net_thread.store(TRY(kernel_thread_create("net", network_loop, nullptr)), memory_order_release);
  return {};
}

NetworkCore::~NetworkCore() {
  loopback_deliver();
  network_lock.unlock();
}

void network_wake() {
  if (Thread* thread = net_thread.load(memory_order_acquire)) wake(*thread);
}

}  // namespace faultline
