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

// How long what waits has waited: lwIP stamps a block when it is made and when it enters TIME_WAIT.
bool is_older_than(const tcp_pcb& block, uint32_t seconds) { return tcp_ticks - block.tmr > seconds * 1000 / TCP_SLOW_INTERVAL; }

// A connection in TIME_WAIT keeps its ports until no wire can hold segments of it any more. Between addresses of ours there is no wire, and a
// second is enough (Linux, too, takes such ports again after one): who connects ten thousand times does not run out of ports.
bool has_waited_enough(const tcp_pcb& block) { return is_older_than(block, 1) && lwip_port_route(&block.remote_ip); }

// A handshake may take twenty seconds; but when half of a listener's queue is handshakes, those that got no answer to our second SYN make room:
// nobody keeps others out by beginning and not going on.
bool is_in_the_way(const tcp_pcb& block) {
  return block.state == SYN_RCVD && block.listener && block.listener->accepts_pending > block.listener->backlog / 2 &&
         is_older_than(block, 3);
}

void abort_those(tcp_pcb* list, bool (*is_over)(const tcp_pcb&)) {
  while (list) {
    tcp_pcb* next = list->next;
    if (is_over(*list)) tcp_abort(list);
    list = next;
  }
}

void run_tcp() {
  tcp_tmr();
  abort_those(tcp_tw_pcbs, &has_waited_enough);
  abort_those(tcp_active_pcbs, &is_in_the_way);
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
