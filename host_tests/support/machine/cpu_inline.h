// The processor primitives that locks need inline, for the emulated machine. Mostly its CPUs are one host thread that switches between them, so
// that a spin that does not end at once never will; see support/executor.h for when they are more.
#pragma once

#include <cstdint>

#include <machine/schedule_point.h>

namespace faultline::machine {

struct EmulatedCpus {
  uint32_t current = 0;
  uint32_t preemption_disabled[8] = {};
  uint32_t interrupts_disabled[8] = {};
  uint64_t spins = 0;
};
// Of each host thread: where those are the CPUs, each uses its own entries only.
inline constinit thread_local EmulatedCpus emulated;

inline thread_local uint64_t emulated_cycles = 0;  // as tests set it
inline uint64_t cycles() { return emulated_cycles; }

[[noreturn]] void spins_for_ever();
inline void relax() {
  if (++emulated.spins > 1'000'000) spins_for_ever();
  point(Point::kSpin);
}

inline void full_fence() { __sync_synchronize(); }

inline constexpr bool processors_may_stop = false;

inline uint32_t this_cpu() { return emulated.current; }
void* current_thread_pointer();

inline void preemption_point() {}
inline uint32_t preemption_depth() { return emulated.preemption_disabled[emulated.current]; }
inline void preemption_disable() { emulated.preemption_disabled[emulated.current]++; }
inline void preemption_enable() {
  const bool is_outermost = --emulated.preemption_disabled[emulated.current] == 0;
  emulated.spins = 0;
  if (is_outermost) point(Point::kPreemptible);
}

inline uint32_t interrupts_save_and_disable() { return emulated.interrupts_disabled[emulated.current]++ == 0; }
inline void interrupts_restore(uint32_t) {
  if (--emulated.interrupts_disabled[emulated.current] == 0) point(Point::kInterrupts);
}
inline bool interrupts_enabled() { return emulated.interrupts_disabled[emulated.current] == 0; }

struct WordDivision {
  uint32_t quotient, remainder;
};
inline WordDivision divide_by_word(uint32_t high, uint32_t low, uint32_t divisor) {
  if (high >= divisor) __builtin_trap();  // as the processor would
  uint64_t number = uint64_t{high} << 32 | low;
  return {static_cast<uint32_t>(number / divisor), static_cast<uint32_t>(number % divisor)};
}

}  // namespace faultline::machine
