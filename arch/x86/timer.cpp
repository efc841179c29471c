// clock_arm(): an absolute deadline turned into ticks of the timer at hand, in several steps when it is far away.
#include "arch/x86/timer.h"

#include <algorithm>

#include "arch/clock.h"
#include "arch/context.h"
#include "arch/interrupt.h"
#include "arch/x86/local_apic.h"
#include "arch/x86/per_cpu.h"
#include "arch/x86/pit.h"

namespace faultline {

namespace {

constexpr uint64_t kNever = ~0ull;
constexpr uint64_t kLongestLocalApic = 1000000000, kLongestPit = 50000000;  // nanoseconds

constinit uint32_t local_apic_rate = 0;

void program(uint64_t deadline) {
  uint64_t now = clock_monotonic();
  uint64_t wait = deadline > now ? deadline - now : 0;
  if (local_apic_is_used()) {
    auto step = static_cast<uint32_t>(std::min(wait, kLongestLocalApic));
    local_apic_timer_start(static_cast<uint32_t>(uint64_t{step} * local_apic_rate >> 24) + 1);
  } else {
    auto step = static_cast<uint32_t>(std::min(wait, kLongestPit));
    pit_start_once(static_cast<uint32_t>(uint64_t{step} * kPitFrequency / 1000000000) + 1);
  }
}

}  // namespace

void timer_initialize(uint32_t local_apic_ticks_per_nanosecond_24) {
  local_apic_rate = local_apic_ticks_per_nanosecond_24;
  this_cpu_area().timer_deadline = kNever;
  if (local_apic_is_used()) return;
  // At boot with an empty handler table: cannot fail.
  interrupt_install(
      kPitLine, InterruptTrigger::kEdgeHigh, [](void*) { timer_interrupt(); }, nullptr)
      .value();
}

void clock_arm(uint64_t nanoseconds) {
  this_cpu_area().timer_deadline = nanoseconds;
  if (nanoseconds != kNever) program(nanoseconds);
  // A timer that cannot be stopped goes off and finds no deadline.
  else if (local_apic_is_used())
    local_apic_timer_start(0);
}

void timer_interrupt() {
  CpuArea& area = this_cpu_area();
  if (area.timer_deadline == kNever) return;
  if (clock_monotonic() < area.timer_deadline) {
    program(area.timer_deadline);
    return;
  }
  area.timer_deadline = kNever;
  kernel_timer_interrupt();
}

}  // namespace faultline
