// Processor features and the control registers that switch them on.
#include "arch/x86/features.h"

#include "arch/clock.h"
#include "arch/cpu.h"
#include "arch/mmu.h"
#include "lib/string.h"

namespace faultline {

constinit uint32_t cpu_features = 0;
constinit bool machine::processors_may_stop = false;
extern "C" {
constinit bool has_wide_registers = false;
}

namespace {

constinit uint32_t hardware_word = 0;

struct CpuidLeaf {
  uint32_t eax, ebx, ecx, edx;
};
CpuidLeaf cpuid(uint32_t number) {
  CpuidLeaf leaf = {number, 0, 0, 0};
  asm volatile("cpuid" : "+a"(leaf.eax), "=b"(leaf.ebx), "+c"(leaf.ecx), "=d"(leaf.edx));
  return leaf;
}

}  // namespace

CpuIdentity cpu_identity() {
  CpuIdentity identity = {};
  CpuidLeaf vendor = cpuid(0);
  const uint32_t words[] = {vendor.ebx, vendor.edx, vendor.ecx};
  memcpy(identity.vendor, words, sizeof words);
  CpuidLeaf signature = cpuid(1);
  identity.stepping = signature.eax & 15;
  identity.family = signature.eax >> 8 & 15;
  identity.model = signature.eax >> 4 & 15;
  if (identity.family == 6 || identity.family == 15) identity.model |= signature.eax >> 12 & 0xf0;
  if (identity.family == 15) identity.family += signature.eax >> 20 & 0xff;
  identity.features = signature.edx;
  identity.more_features = signature.ecx;
  identity.kilohertz = clock_cycles_kilohertz();
  constexpr uint32_t kExtended = 0x80000000, kFirstName = 0x80000002, kLastName = 0x80000004;
  if (cpuid(kExtended).eax >= kLastName)
    for (uint32_t leaf = kFirstName; leaf <= kLastName; leaf++) {
      CpuidLeaf part = cpuid(leaf);
      memcpy(identity.model_name + (leaf - kFirstName) * sizeof part, &part, sizeof part);
    }
  return identity;
}

uint32_t cpu_hardware_word() { return hardware_word; }

void cpu_features_initialize() {
  auto [eax, ebx, ecx, edx] = cpuid(1);
  hardware_word = edx;
  constexpr uint32_t kSignature = 0xfff, kBadSysenter = 0x633;  // the first Pentium Pros claim to have it
  constexpr uint32_t kExtended = 0x80000000, kPower = 0x80000007;
  auto note = [](CpuFeature feature, uint32_t there) {
    if (there) cpu_features |= 1u << static_cast<uint32_t>(feature);
  };
  note(CpuFeature::kPge, edx & 1u << 13);
  note(CpuFeature::kFxsr, edx & 1u << 24);
  note(CpuFeature::kSse, edx & 1u << 25);
  note(CpuFeature::kApic, edx & 1u << 9);
  note(CpuFeature::kRdrand, ecx & 1u << 30);
  note(CpuFeature::kHypervisor, ecx & 1u << 31);
  machine::processors_may_stop = cpu_has(CpuFeature::kHypervisor);
  note(CpuFeature::kSysenter, (eax & kSignature) >= kBadSysenter ? edx & 1u << 11 : 0);
  note(CpuFeature::kFence, edx & 1u << 26);
  note(CpuFeature::kConstantCounter, cpuid(kExtended).eax >= kPower ? cpuid(kPower).edx & 1u << 8 : 0);
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
  has_wide_registers = cpu_has(CpuFeature::kSse) && cpu_has(CpuFeature::kFxsr);
}

}  // namespace faultline
