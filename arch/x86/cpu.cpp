// Idling, and a seed for random numbers.
#include "arch/cpu.h"

#include "arch/clock.h"
#include "arch/x86/features.h"

namespace faultline {

void cpu_idle() {
  // The instruction after sti still runs with interrupts off (SDM volume 2, STI): nothing slips in before the halt.
  asm volatile("sti; hlt; cli" : : : "memory");
}

uint32_t cpu_random_seed() {
  if (cpu_has(CpuFeature::kRdrand)) {
    for (uint32_t attempt = 0; attempt < 10; attempt++) {
      uint32_t value;
      bool valid;
      asm volatile("rdrand %0" : "=r"(value), "=@ccc"(valid));
      if (valid) return value;
    }
  }
  uint64_t cycles = clock_cycles();
  return static_cast<uint32_t>(cycles ^ cycles >> 32) * 2654435761u;
}

}  // namespace faultline
