// lwIP's timers: see timers.h.
#include "kernel/net/lwip/timers.h"

#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/ip4_frag.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <lwip_hooks.h>

#include "arch/clock.h"
#include "kernel/time.h"

namespace faultline {

namespace {

constexpr uint64_t kMillisecond = kNanosecondsPerSecond / 1000, kOff = Deadline::kNever;

struct Timer {
  void (*run)();
  uint32_t milliseconds;
  bool (*is_wanted)();  // still, after a run
  uint64_t due = kOff;

  void start(uint64_t now) { due = now + milliseconds * kMillisecond; }
};

// A connection in TIME_WAIT keeps its ports until no wire can hold segments of it any more. Between addresses of ours there is no wire, and a
// second is enough (Linux, too, takes such ports again after one): who connects ten thousand times does not run out of ports.
void run_tcp() {
  constexpr uint32_t kSecond = 1000 / TCP_SLOW_INTERVAL;
  tcp_tmr();
  for (tcp_pcb* block = tcp_tw_pcbs; block;) {
    tcp_pcb* next = block->next;
    if (tcp_ticks - block->tmr > kSecond && lwip_port_route(&block->remote_ip)) tcp_abort(block);
    block = next;
  }
}

bool is_tcp_wanted() { return tcp_active_pcbs || tcp_tw_pcbs; }
bool always() { return true; }

enum : uint32_t { kTcp, kReassembly, kFirstOfEthernet, kArp = kFirstOfEthernet, kDhcp, kDhcpLease };
constinit Timer timers[] GUARDED_BY(network_lock) = {
    {run_tcp, TCP_TMR_INTERVAL, is_tcp_wanted},
    {ip_reass_tmr, IP_TMR_INTERVAL, always},
    {etharp_tmr, ARP_TMR_INTERVAL, always},
    {dhcp_fine_tmr, DHCP_FINE_TIMER_MSECS, always},
    {dhcp_coarse_tmr, DHCP_COARSE_TIMER_MSECS, always},
};

}  // namespace

void timers_run(uint64_t now) {
  for (Timer& timer : timers) {
    if (timer.due > now) continue;
    timer.start(now);  // what was missed is not made up for
    timer.run();
    if (!timer.is_wanted()) timer.due = kOff;
  }
}

uint64_t timers_next() {
  uint64_t next = kOff;
  for (const Timer& timer : timers) next = timer.due < next ? timer.due : next;
  return next;
}

void timers_start_ethernet() {
  const uint64_t now = clock_monotonic();
  for (uint32_t i = kReassembly; i <= kDhcpLease; i++) timers[i].start(now);
}

}  // namespace faultline

extern "C" {

// lwIP has a connection that may time out. Its caller holds the lock, which lwIP's C cannot say.
void tcp_timer_needed() NO_THREAD_SAFETY_ANALYSIS {
  using namespace faultline;
  if (timers[kTcp].due != kOff) return;
  timers[kTcp].start(clock_monotonic());
  network_wake();  // it may sleep longer than that
}

void sys_timeouts_init() {}

}  // extern "C"
