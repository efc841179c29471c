// Finds and checks ACPI's tables. Firmware is input: every length is bounded, every checksum verified, and a table that fails
// is as good as absent.
#include "drivers/acpi/acpi.h"

#include <span>

#include "arch/mmu.h"
#include "drivers/acpi/tables.h"
#include "lib/string.h"

namespace faultline {

namespace {

constexpr uint32_t kMaxTableBytes = 1u << 20;

class Tables {
 public:
  explicit Tables(FrameNumber direct_map_end) : direct_map_end_(direct_map_end) {}

  // The table with this signature from the root table's list; null if there is none or it is damaged.
  const AcpiHeader* find(StringView signature);
  // The table at an address, its checksum verified.
  const AcpiHeader* table_at(uint32_t address);
  bool locate_root();

 private:
  const uint8_t* bytes_at(uint32_t address, uint32_t bytes);
  const AcpiRootPointer* root_pointer_in(uint32_t start, uint32_t end);

  FrameNumber direct_map_end_;
  const AcpiHeader* root_ = nullptr;
};

bool sums_to_zero(const uint8_t* data, uint32_t bytes) {
  uint8_t sum = 0;
  for (uint32_t i = 0; i < bytes; i++) sum = static_cast<uint8_t>(sum + data[i]);
  return sum == 0;
}

// Firmware puts tables at the top of RAM, which may be past what is mapped.
const uint8_t* Tables::bytes_at(uint32_t address, uint32_t bytes) {
  if (address == 0 || bytes > ~address) return nullptr;
  if (PhysAddr(address + bytes - 1).frame() < direct_map_end_) return direct_map_bytes(FrameNumber(0)) + address;
  return static_cast<const uint8_t*>(mmu_map_device(PhysAddr(address), bytes));
}

const AcpiHeader* Tables::table_at(uint32_t address) {
  const uint8_t* start = bytes_at(address, sizeof(AcpiHeader));
  if (!start) return nullptr;
  uint32_t bytes = reinterpret_cast<const AcpiHeader*>(start)->bytes;
  if (bytes < sizeof(AcpiHeader) || bytes > kMaxTableBytes) return nullptr;
  start = bytes_at(address, bytes);
  return start && sums_to_zero(start, bytes) ? reinterpret_cast<const AcpiHeader*>(start) : nullptr;
}

const AcpiRootPointer* Tables::root_pointer_in(uint32_t start, uint32_t end) {
  for (uint32_t address = align_up(start, 16u); address + sizeof(AcpiRootPointer) <= end; address += 16) {
    const uint8_t* data = direct_map_bytes(FrameNumber(0)) + address;
    if (StringView(reinterpret_cast<const char*>(data), 8) == "RSD PTR " && sums_to_zero(data, sizeof(AcpiRootPointer)))
      return reinterpret_cast<const AcpiRootPointer*>(data);
  }
  return nullptr;
}

// In the first KiB of the extended BIOS data area, whose segment the BIOS data area names, or in the BIOS itself.
bool Tables::locate_root() {
  constexpr uint32_t kSegmentWord = 0x40e;
  const uint8_t* low = direct_map_bytes(FrameNumber(0));
  uint32_t extended = (low[kSegmentWord] | low[kSegmentWord + 1] << 8) * 16u;
  const AcpiRootPointer* pointer = extended >= 0x400 && extended < 0xa0000 ? root_pointer_in(extended, extended + 1024) : nullptr;
  if (!pointer) pointer = root_pointer_in(0xe0000, 0x100000);
  if (pointer) root_ = table_at(pointer->root_table);
  return root_ != nullptr;
}

const AcpiHeader* Tables::find(StringView signature) {
  uint32_t count = (root_->bytes - sizeof(AcpiHeader)) / sizeof(uint32_t);
  const auto* entries = reinterpret_cast<const uint8_t*>(root_ + 1);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t address;
    memcpy(&address, entries + i * sizeof address, sizeof address);
    const auto* header = reinterpret_cast<const AcpiHeader*>(bytes_at(address, sizeof(AcpiHeader)));
    if (header && StringView(header->signature, 4) == signature) return table_at(address);
  }
  return nullptr;
}

void read_override(const MadtOverride& entry, MachineTopology& topology) {
  if (topology.overrides == MachineTopology::kMaxOverrides) return;
  using Polarity = MachineTopology::Polarity;
  using Trigger = MachineTopology::Trigger;
  uint32_t polarity = entry.flags & 3u, trigger = entry.flags >> 2 & 3u;
  topology.override_of[topology.overrides++] = {entry.isa_line,
                                                polarity == 1   ? Polarity::kActiveHigh
                                                : polarity == 3 ? Polarity::kActiveLow
                                                                : Polarity::kAsDriverSays,
                                                trigger == 1   ? Trigger::kEdge
                                                : trigger == 3 ? Trigger::kLevel
                                                               : Trigger::kAsDriverSays,
                                                entry.global_interrupt};
}

void read_interrupts(const AcpiInterruptDescription& table, MachineTopology& topology) {
  topology.local_apic_address = table.local_apic_address;
  const auto* at = reinterpret_cast<const uint8_t*>(&table + 1);
  const uint8_t* end = reinterpret_cast<const uint8_t*>(&table) + table.header.bytes;
  for (; end - at >= 2 && at[1] >= 2 && at[1] <= end - at; at += at[1]) {
    if (at[0] == kMadtLocalApic && at[1] >= sizeof(MadtLocalApic)) {
      const auto& entry = *reinterpret_cast<const MadtLocalApic*>(at);
      if (entry.flags & 1 && topology.cpus < kMaxCpus) topology.apic_ids[topology.cpus++] = entry.apic_id;
    } else if (at[0] == kMadtIoApic && at[1] >= sizeof(MadtIoApic)) {
      const auto& entry = *reinterpret_cast<const MadtIoApic*>(at);
      if (topology.io_apics < MachineTopology::kMaxIoApics) topology.io_apic[topology.io_apics++] = {entry.address, entry.first_interrupt};
    } else if (at[0] == kMadtOverride && at[1] >= sizeof(MadtOverride)) {
      read_override(*reinterpret_cast<const MadtOverride*>(at), topology);
    }
  }
}

// The first two elements of the package named _S5_ in the DSDT's byte code: what to write for the soft-off state.
// NameOp "_S5_" PackageOp PkgLength NumElements, then each a byte constant, zero or one (ACPI 6.4, chapter 20).
bool find_soft_off_values(const AcpiHeader& code, uint8_t values[2]) {
  constexpr uint8_t kPackage = 0x12, kByte = 0x0a;
  const auto* data = reinterpret_cast<const uint8_t*>(&code);
  for (uint32_t i = sizeof(AcpiHeader); i + 16 < code.bytes; i++) {
    if (data[i] != '_' || data[i + 1] != 'S' || data[i + 2] != '5' || data[i + 3] != '_' || data[i + 4] != kPackage) continue;
    const uint8_t* at = data + i + 5;
    at += (*at >> 6) + 2;  // the length's own length, and the number of elements
    for (uint32_t n = 0; n < 2; n++) {
      if (*at == kByte) at++;
      values[n] = *at++;
    }
    return true;
  }
  return false;
}

void read_power(Tables& tables, const AcpiFixedDescription& table, MachineTopology& topology) {
  topology.pm_timer_port = static_cast<uint16_t>(table.pm_timer);
  const AcpiHeader* code = tables.table_at(table.definition_block);
  uint8_t types[2];
  if (!code || !find_soft_off_values(*code, types)) return;
  constexpr uint16_t kEnable = 1u << 13;
  topology.acpi_enable_port = static_cast<uint16_t>(table.command_port);
  topology.acpi_enable_value = table.enable_value;
  topology.pm1a_control_port = static_cast<uint16_t>(table.pm1a_control);
  topology.pm1b_control_port = static_cast<uint16_t>(table.pm1b_control);
  topology.power_off_value_a = static_cast<uint16_t>((types[0] & 7u) << 10 | kEnable);
  topology.power_off_value_b = static_cast<uint16_t>((types[1] & 7u) << 10 | kEnable);
}

}  // namespace

MachineTopology acpi_describe_machine(FrameNumber direct_map_end) {
  MachineTopology topology;
  Tables tables(direct_map_end);
  if (!tables.locate_root()) return topology;
  if (const AcpiHeader* table = tables.find("APIC"); table && table->bytes >= sizeof(AcpiInterruptDescription))
    read_interrupts(*reinterpret_cast<const AcpiInterruptDescription*>(table), topology);
  if (const AcpiHeader* table = tables.find("FACP"); table && table->bytes >= sizeof(AcpiFixedDescription))
    read_power(tables, *reinterpret_cast<const AcpiFixedDescription*>(table), topology);
  return topology;
}

}  // namespace faultline
