// Debug builds: a thread of the kernel's that tells of what has gone wrong without a panic: spin locks that were held for long, and threads that sleep
// uninterruptibly and are not woken (a wake-up was lost, or whoever should wake them hangs). `hung_task=SECONDS` and `lock_hold=MILLISECONDS` on the
// kernel's command line set the bounds.
#pragma once

namespace faultline {

#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG
void watchdog_start();  // boot
#else
inline void watchdog_start() {}
#endif

}  // namespace faultline
