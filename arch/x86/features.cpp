// Processor features and the control registers that switch them on.
#include "arch/x86/features.h"

namespace faultline {

constinit uint32_t cpu_features = 0;

void cpu_features_initialize() {
  uint32_t eax = 1, ebx, ecx = 0, edx;
  asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  auto note = [](CpuFeature feature, uint32_t there) {
    if (there) cpu_features |= 1u << static_cast<uint32_t>(feature);
  };
  note(CpuFeature::kPge, edx & 1u << 13);
  note(CpuFeature::kFxsr, edx & 1u << 24);
  note(CpuFeature::kSse, edx & 1u << 25);
  note(CpuFeature::kApic, edx & 1u << 9);
  note(CpuFeature::kRdrand, ecx & 1u << 30);
  note(CpuFeature::kHypervisor, ecx & 1u << 31);
}

void cpu_control_initialize() {
  constexpr uint32_t kMonitor = 1u << 1, kEmulate = 1u << 2, kTaskSwitched = 1u << 3, kNumericError = 1u << 5, kWriteProtect = 1u << 16;
  uint32_t cr0;
  asm volatile("movl %%cr0, %0" : "=r"(cr0));
  cr0 = (cr0 & ~(kEmulate | kTaskSwitched)) | kMonitor | kNumericError | kWriteProtect;
  asm volatile("movl %0, %%cr0" : : "r"(cr0));

  constexpr uint32_t kPageSizeExtension = 1u << 4, kPageGlobal = 1u << 7, kFxsave = 1u << 9, kSseExceptions = 1u << 10;
  uint32_t cr4;
  asm volatile("movl %%cr4, %0" : "=r"(cr4));
  cr4 |= kPageSizeExtension;
  if (cpu_has(CpuFeature::kPge)) cr4 |= kPageGlobal;
  if (cpu_has(CpuFeature::kFxsr)) cr4 |= kFxsave;
  if (cpu_has(CpuFeature::kSse)) cr4 |= kSseExceptions;
  asm volatile("movl %0, %%cr4" : : "r"(cr4) : "memory");
  asm volatile("fninit");
}

}  // namespace faultline
