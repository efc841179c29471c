// The processors: how many, which one this is, idling. arch/x86 implements it; host_tests/support again.
#pragma once

#include <cstdint>

#include <machine/cpu_inline.h>

#include "lib/atomic.h"

namespace faultline {

inline constexpr uint32_t kMaxCpus = 8;

// CPUs that run the kernel; they are numbered 0 (the boot processor) to cpu_count() - 1.
uint32_t cpu_count();
inline uint32_t this_cpu() { return machine::this_cpu(); }

// A set of CPUs, by bit.
using CpuMask = uint32_t;
constexpr CpuMask cpu_bit(uint32_t cpu) { return 1u << cpu; }

// Keeps this thread on its CPU while it lives; may nest. Nothing may sleep inside.
class PreemptionGuard {
 public:
  PreemptionGuard() { machine::preemption_disable(); }
  ~PreemptionGuard() { machine::preemption_enable(); }
  PreemptionGuard(const PreemptionGuard&) = delete;
  PreemptionGuard& operator=(const PreemptionGuard&) = delete;
};

class InterruptGuard {
 public:
  InterruptGuard() : state_(machine::interrupts_save_and_disable()) {}
  ~InterruptGuard() { machine::interrupts_restore(state_); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  uint32_t state_;
};

// Enables interrupts and halts until one arrives, without a window in which a wake-up could be lost; returns with
// interrupts off. Call with interrupts off.
void cpu_idle();

// Asks another CPU to look at its run queue (an inter-processor interrupt that does nothing else).
void cpu_kick(uint32_t cpu);

// Stops all other CPUs for good (panic, power-off). They stop with interrupts off.
void cpu_stop_others();

// What the processor says of itself (CPUID), for /proc/cpuinfo. All CPUs are alike.
struct CpuIdentity {
  char vendor[13], model_name[49];  // text, ended by NUL
  uint32_t family, model, stepping;
  uint32_t features, more_features;  // leaf 1's edx and ecx
  uint32_t kilohertz;                // of the cycle counter
};
CpuIdentity cpu_identity();
// Its `features` alone, at the cost of a load: what AT_HWCAP tells every program.
uint32_t cpu_hardware_word();

// Fills with hardware randomness where the processor has it (RDRAND), else with what the counters give. For seeding only.
uint32_t cpu_random_seed();

}  // namespace faultline
