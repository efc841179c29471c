// The processor in the words of /proc/cpuinfo (SDM volume 2, CPUID).
#include <cpuid.h>

#include "arch/cpu.h"

namespace faultline {

namespace {

struct FlagName {
  uint8_t bit;
  StringView name;
};
constexpr FlagName kEdxFlags[] = {
    {0, "fpu"},   {1, "vme"},   {2, "de"},   {3, "pse"},   {4, "tsc"},  {5, "msr"},   {6, "pae"},  {7, "mce"},   {8, "cx8"},
    {9, "apic"},  {11, "sep"},  {12, "mtrr"}, {13, "pge"}, {14, "mca"}, {15, "cmov"}, {16, "pat"}, {17, "pse36"}, {19, "clflush"},
    {23, "mmx"},  {24, "fxsr"}, {25, "sse"}, {26, "sse2"}, {27, "ss"},  {28, "ht"},
};
constexpr FlagName kEcxFlags[] = {
    {0, "pni"},   {9, "ssse3"},  {13, "cx16"},   {19, "sse4_1"}, {20, "sse4_2"},
    {21, "x2apic"}, {22, "movbe"}, {23, "popcnt"}, {30, "rdrand"}, {31, "hypervisor"},
};

void put_model_name(FormatSink& sink) {
  uint32_t words[13] = {};
  for (uint32_t i = 0; i < 3; i++)
    if (!__get_cpuid(0x80000002 + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3])) return;
  format(sink, "model name\t: {}\n", reinterpret_cast<const char*>(words));
}

}  // namespace

void cpu_describe(FormatSink& sink) {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx)) return;
  uint32_t vendor[4] = {ebx, edx, ecx, 0};
  format(sink, "vendor_id\t: {}\n", reinterpret_cast<const char*>(vendor));
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return;
  uint32_t family = eax >> 8 & 15, model = eax >> 4 & 15;
  if (family == 6 || family == 15) model |= eax >> 12 & 0xf0;
  if (family == 15) family += eax >> 20 & 0xff;
  format(sink, "cpu family\t: {}\nmodel\t\t: {}\n", family, model);
  put_model_name(sink);
  format(sink, "stepping\t: {}\n", eax & 15);
  format(sink, "fpu\t\t: {}\nfpu_exception\t: {}\nwp\t\t: yes\nflags\t\t:", edx & 1 ? "yes" : "no", edx & 1 ? "yes" : "no");
  for (const FlagName& flag : kEdxFlags)
    if (edx & 1u << flag.bit) format(sink, " {}", flag.name);
  for (const FlagName& flag : kEcxFlags)
    if (ecx & 1u << flag.bit) format(sink, " {}", flag.name);
  sink.put("\n");
}

}  // namespace faultline
