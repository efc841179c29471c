// What CPUID says this processor can do (SDM volume 2, CPUID). Read once on the boot processor; all are taken to be alike.
#pragma once

#include <cstdint>

namespace faultline {

enum class CpuFeature : uint8_t { kPge, kFxsr, kSse, kApic, kRdrand, kHypervisor, kSysenter, kFence, kConstantCounter };

void cpu_features_initialize();
// Sets CR0 and CR4 on this CPU as the kernel wants them.
void cpu_control_initialize();

extern uint32_t cpu_features;
inline bool cpu_has(CpuFeature feature) { return cpu_features & 1u << static_cast<uint32_t>(feature); }

}  // namespace faultline
