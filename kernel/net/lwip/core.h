// lwIP's core and the one lock around it. Whoever calls a function of lwIP holds a NetworkCore; what lwIP calls (a socket's callbacks, an
// interface's output) runs under it as well, and may neither sleep nor touch user memory.
#pragma once

#include "lib/annotations.h"
#include "lib/late.h"
#include "lib/lock_rank.h"
#include "lib/mutex.h"
#include "lib/result.h"

namespace faultline {

class CAPABILITY("mutex") NetworkLock {
 public:
  // Boot only, before all else here.
  void initialize() { mutex_.construct(); }
  void lock() ACQUIRE() NO_THREAD_SAFETY_ANALYSIS { mutex_->lock(); }
  void unlock() RELEASE() NO_THREAD_SAFETY_ANALYSIS { mutex_->unlock(); }
  bool is_held() const { return mutex_->is_held(); }

 private:
  Late<Mutex<LockRank::kNetwork>> mutex_;
};
extern NetworkLock network_lock;
// The first call starts lwIP, its loopback interface and the thread "net": a machine that does without a network pays for none.
// kNOMEM. May sleep.
Result<void> network_start();

// The lock, held. When it is let go, what was sent to ourselves meanwhile has been delivered: a request over loopback is in its server's
// socket, and that one awake, before the client's send() returns.
class SCOPED_CAPABILITY NetworkCore {
 public:
  NetworkCore() ACQUIRE(network_lock) { network_lock.lock(); }
  ~NetworkCore() RELEASE();
  NetworkCore(const NetworkCore&) = delete;
  NetworkCore& operator=(const NetworkCore&) = delete;
};

// Has the thread "net" look for frames, timers and undelivered packets. Any context.
void network_wake();

}  // namespace faultline
