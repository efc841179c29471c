// /proc/cpuinfo. Feature bits: SDM volume 2, CPUID leaf 1; names as Linux gives them.
#include "arch/cpu.h"
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

struct FeatureName {
  uint8_t bit;
  StringView name;
};
constexpr FeatureName kFeatures[] = {
    {0, "fpu"},    {1, "vme"},      {2, "de"},   {3, "pse"},   {4, "tsc"},  {5, "msr"},   {6, "pae"},   {7, "mce"},
    {8, "cx8"},    {9, "apic"},     {11, "sep"}, {12, "mtrr"}, {13, "pge"}, {14, "mca"},  {15, "cmov"}, {16, "pat"},
    {17, "pse36"}, {19, "clflush"}, {23, "mmx"}, {24, "fxsr"}, {25, "sse"}, {26, "sse2"}, {27, "ss"},   {28, "ht"},
};
constexpr FeatureName kMoreFeatures[] = {
    {0, "pni"},     {9, "ssse3"},  {13, "cx16"},   {19, "sse4_1"}, {20, "sse4_2"},
    {21, "x2apic"}, {22, "movbe"}, {23, "popcnt"}, {30, "rdrand"}, {31, "hypervisor"},
};

void put_processor(FormatSink& sink, uint32_t cpu, const CpuIdentity& identity) {
  format(sink, "processor\t: {}\nvendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: {}\nmodel name\t: {}\nstepping\t: {}\n", cpu,
         identity.vendor, identity.family, identity.model, identity.model_name, identity.stepping);
  format(sink, "cpu MHz\t\t: {}.{03}\n", identity.kilohertz / 1000, identity.kilohertz % 1000);
  sink.put("flags\t\t:");
  for (const FeatureName& feature : kFeatures)
    if (identity.features & 1u << feature.bit) format(sink, " {}", feature.name);
  for (const FeatureName& feature : kMoreFeatures)
    if (identity.more_features & 1u << feature.bit) format(sink, " {}", feature.name);
  sink.put("\n\n");
}

}  // namespace

Result<void> proc_show_cpuinfo(const ProcContext&, FormatSink& sink) {
  CpuIdentity identity = cpu_identity();
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) put_processor(sink, cpu, identity);
  return {};
}

}  // namespace faultline
