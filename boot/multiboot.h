// The block of data that a Multiboot 1 loader leaves in memory, as the specification (version 0.6.96, section 3.3) lays it out.
#pragma once

#include <cstddef>
#include <cstdint>

namespace faultline {

struct MultibootInformation {
  static constexpr uint32_t kMemory = 1u << 0, kCommandLine = 1u << 2, kModules = 1u << 3, kMemoryMap = 1u << 6, kLoaderName = 1u << 9;

  uint32_t flags;
  uint32_t lower_kib, upper_kib;  // RAM from 0 and from 1 MiB
  uint32_t boot_device;
  uint32_t command_line;
  uint32_t module_count, modules;
  uint32_t symbols[4];
  uint32_t map_bytes, map;
  uint32_t drive_bytes, drives;
  uint32_t config_table;
  uint32_t loader_name;
};
static_assert(offsetof(MultibootInformation, map) == 48 && offsetof(MultibootInformation, loader_name) == 64);

struct MultibootModule {
  uint32_t start, end;
  uint32_t command_line;
  uint32_t reserved;
};
static_assert(sizeof(MultibootModule) == 16);

// `entry_bytes` counts what follows it: the next entry is at this one + 4 + entry_bytes.
struct [[gnu::packed]] MultibootMapEntry {
  uint32_t entry_bytes;
  uint64_t start, bytes;
  uint32_t type;  // 1: usable RAM; anything else is not
};
static_assert(sizeof(MultibootMapEntry) == 24);
inline constexpr uint32_t kMultibootUsable = 1;

}  // namespace faultline
