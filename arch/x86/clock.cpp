// The monotonic clock: the time stamp counter (SDM volume 3, 17.17), scaled by a multiplication. It is taken to be the same on
// all CPUs, as it is on every machine with an invariant counter and in emulators. Its rate is measured against ACPI's timer
// or the 8254, briefly: each look at those is one instruction, but how long it takes depends on the machine.
#include "arch/clock.h"

#include "arch/port_io.h"
#include "arch/start.h"
#include "arch/x86/clock_rate.h"
#include "arch/x86/clock_scale.h"
#include "arch/x86/local_apic.h"
#include "arch/x86/pit.h"
#include "arch/x86/rtc.h"
#include "arch/x86/smp.h"
#include "arch/x86/timer.h"
#include "lib/panic.h"

namespace faultline {

namespace {

// The measurement ends after either. Under QEMU's -icount a look is some ten nanoseconds, on hardware a microsecond.
constexpr uint32_t kMeasureMicroseconds = 10000, kMaxLooks = 20000;

// Set at boot, before other CPUs run.
constinit uint64_t start_cycles = 0;
constinit uint32_t nanoseconds_per_cycle = 0;  // times 2^32, of a counter that was doubled `doublings` times
constinit uint32_t doublings = 0;              // 0 from 1 GHz up
constinit uint64_t boot_wall_seconds = 0;

// `nanoseconds` is short, so that the shifted value fits.
void set_rate(uint64_t nanoseconds, uint64_t cycles) {
  constexpr uint64_t k1Ghz = uint64_t{1} << 32, kTolerance = k1Ghz >> 11;
  uint64_t rate = (nanoseconds << 32) / cycles;
  if (rate >= k1Ghz && rate < k1Ghz + kTolerance) rate = k1Ghz - 1;  // an emulator's 1 GHz, measured a little low
  for (; rate >= k1Ghz; rate >>= 1) doublings++;
  nanoseconds_per_cycle = static_cast<uint32_t>(rate);
}

// A counter of known rate.
struct Reference {
  uint32_t (*read)();
  uint32_t frequency, mask;
};
uint32_t read_pm_timer() { return port_read32(cpu_topology().pm_timer_port); }
Reference reference_clock() {
  constexpr uint32_t kPmFrequency = 3579545;
  if (cpu_topology().pm_timer_port != 0) return {read_pm_timer, kPmFrequency, 0xffffff};
  pit_start_counter();
  return {pit_elapsed_count, kPitFrequency, 0xffff};
}

// The moment at which the reference changed, by both clocks. An emulator may be held up between two looks, so the sharpest
// of several changes is taken.
struct Edge {
  uint32_t reference;
  uint64_t cycles;
};
Edge find_edge(const Reference& reference) {
  Edge best = {};
  uint64_t best_width = ~0ull;
  for (uint32_t attempt = 0; attempt < 8; attempt++) {
    uint32_t previous = reference.read(), now = previous;
    uint64_t before = 0, after = clock_cycles();
    for (uint32_t looks = 0; looks < kMaxLooks && now == previous; looks++) {
      before = after;
      now = reference.read();
      after = clock_cycles();
    }
    if (after - before < best_width) {
      best_width = after - before;
      best = {now, after};
    }
  }
  return best;
}

void wait_a_while(const Reference& reference, uint32_t since) {
  uint32_t enough = static_cast<uint32_t>(uint64_t{kMeasureMicroseconds} * reference.frequency / 1000000);
  for (uint32_t looks = 0; looks < kMaxLooks; looks++)
    if (((reference.read() - since) & reference.mask) >= enough) break;
}

}  // namespace

uint32_t clock_cycles_kilohertz() {
  return nanoseconds_per_cycle == 0 ? 0 : static_cast<uint32_t>((uint64_t{1000000} << 32) / nanoseconds_per_cycle >> doublings);
}

uint64_t clock_cycles_of(uint64_t nanoseconds) { return nanoseconds * clock_cycles_kilohertz() / 1'000'000; }

[[gnu::noinline]] uint64_t clock_nanoseconds_of(uint64_t cycles) { return clock_scaled(cycles << doublings, nanoseconds_per_cycle); }

uint64_t clock_monotonic() {
  uint64_t cycles = clock_cycles() - start_cycles;
  if (doublings != 0) [[unlikely]]
    return clock_nanoseconds_of(cycles);
  return clock_scaled(cycles, nanoseconds_per_cycle);
}
ClockRate clock_rate() { return {start_cycles, nanoseconds_per_cycle, doublings}; }
uint64_t clock_boot_wall_seconds() { return boot_wall_seconds; }

void clock_initialize() {
  Reference reference = reference_clock();
  Edge first = find_edge(reference);
  if (local_apic_is_used()) local_apic_timer_start(~0u);
  uint64_t timer_started = clock_cycles();
  wait_a_while(reference, first.reference);
  uint32_t timer_ticks = local_apic_is_used() ? ~0u - local_apic_timer_left() : 0;
  uint64_t timer_cycles = clock_cycles() - timer_started;
  Edge last = find_edge(reference);
  if (local_apic_is_used()) local_apic_timer_start(0);

  uint64_t elapsed = (last.reference - first.reference) & reference.mask;
  if (elapsed == 0 || last.cycles == first.cycles) PANIC("no clock runs: neither ACPI's timer nor the 8254 moved");
  set_rate(elapsed * 1000000000 / reference.frequency, last.cycles - first.cycles);
  start_cycles = first.cycles;
  timer_initialize(static_cast<uint32_t>((uint64_t{timer_ticks} << 24) / (clock_nanoseconds_of(timer_cycles) | 1)));
  boot_wall_seconds = rtc_read();
}

}  // namespace faultline
