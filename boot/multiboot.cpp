// Decodes what a Multiboot 1 loader left in memory. The block, its strings and the modules lie anywhere, often inside
// memory that the map calls usable, so all of it is copied or reserved before a single frame is handed out.
#include "boot/multiboot.h"

#include <algorithm>
#include <array>

#include "arch/clock.h"
#include "arch/mmu.h"
#include "kernel/boot_information.h"
#include "kernel/frame_ranges.h"
#include "lib/log.h"

extern "C" char kernel_image_start[], kernel_image_end[];

namespace faultline {

namespace {

constexpr uint32_t kReachableFrames = 1920u * 1024 / 4;  // the direct map's size
constexpr uint32_t kMegabyteFrame = 0x100000 >> kPageShift;
// The least in which a shell can run; below it the first allocations would fail with less to say.
constexpr uint32_t kLeastFrames = 8u * 1024 * 1024 >> kPageShift;
constexpr uint32_t kMaxMapEntries = 256, kMaxModules = 4;

// The BIOS keeps its data in page 0 (the ACPI search wants it), and other processors start at kTrampolineFrame.
constexpr uint32_t kTrampolineFrame = 8;

constinit FrameRangeSet usable;
constinit BootInformation information;
constinit std::array<BootModule, kMaxModules> modules = {};
constinit std::array<char, 2048> strings = {};
constinit size_t strings_used = 0;

// The loader's physical address as a pointer; null when it is out of our reach.
template <typename T>
const T* loader_data(uint32_t address, uint32_t bytes = sizeof(T)) {
  constexpr uint32_t kReach = kReachableFrames << kPageShift;
  if (address == 0 || address >= kReach || bytes > kReach - address) return nullptr;
  return reinterpret_cast<const T*>(kKernelBase + address);
}

StringView copy_string(uint32_t address) {
  const char* text = loader_data<char>(address);
  if (!text) return {};
  char* copy = strings.data() + strings_used;
  size_t room = strings.size() - strings_used, length = 0;
  while (length < room && text[length] != '\0') {
    copy[length] = text[length];
    length++;
  }
  strings_used += length;
  return {copy, length};
}

// A piece of the memory map as frames: usable memory loses the pages it only has in part, other memory gains them.
struct FrameSpan {
  uint64_t first, end;
};
FrameSpan frames_within(uint64_t start, uint64_t bytes) {
  uint64_t end = bytes > ~0ull - start ? ~0ull : start + bytes;
  return {start / kPageSize + (start % kPageSize != 0), end / kPageSize};
}
FrameSpan frames_touched(uint64_t start, uint64_t bytes) {
  uint64_t end = bytes > ~0ull - start ? ~0ull : start + bytes;
  return {start / kPageSize, end / kPageSize + (end % kPageSize != 0)};
}
uint32_t clip(uint64_t frame) { return static_cast<uint32_t>(std::min<uint64_t>(frame, kReachableFrames)); }

void add_usable(uint64_t start, uint64_t bytes) {
  FrameSpan span = frames_within(start, bytes);
  if (span.first >= span.end) return;
  usable.add(clip(span.first), clip(span.end));
  if (span.end > kReachableFrames)
    information.frames_beyond_reach += static_cast<uint32_t>(span.end - std::max<uint64_t>(span.first, kReachableFrames));
  information.memory_end = std::max(information.memory_end, FrameNumber(clip(span.end)));
}

void reserve(uint64_t start, uint64_t bytes) {
  FrameSpan span = frames_touched(start, bytes);
  if (span.first < span.end) usable.remove(clip(span.first), clip(span.end));
}

template <typename Visit>
void for_each_map_entry(const MultibootInformation& loader, Visit visit) {
  uint32_t at = loader.map, left = loader.map_bytes;
  for (uint32_t n = 0; n < kMaxMapEntries && left >= sizeof(MultibootMapEntry); n++) {
    const auto* entry = loader_data<MultibootMapEntry>(at);
    if (!entry || entry->entry_bytes < sizeof(MultibootMapEntry) - 4 || entry->entry_bytes > left - 4) return;
    visit(*entry);
    at += entry->entry_bytes + 4;
    left -= entry->entry_bytes + 4;
  }
}

// What is not usable wins over what is, in whatever order the map says it.
void read_memory_map(const MultibootInformation& loader) {
  if (loader.flags & MultibootInformation::kMemoryMap) {
    for_each_map_entry(loader, [](const MultibootMapEntry& entry) {
      if (entry.type == kMultibootUsable) add_usable(entry.start, entry.bytes);
    });
    for_each_map_entry(loader, [](const MultibootMapEntry& entry) {
      if (entry.type == kMultibootUsable) return;
      reserve(entry.start, entry.bytes);
      // ACPI's tables lie in such entries; they are read through the direct map.
      uint32_t end = clip(frames_touched(entry.start, entry.bytes).end);
      if (end < kReachableFrames) information.memory_end = std::max(information.memory_end, FrameNumber(end));
    });
  }
  if (usable.ranges().empty() && (loader.flags & MultibootInformation::kMemory)) {
    add_usable(0, uint64_t{std::min(loader.lower_kib, 640u)} * 1024);
    add_usable(0x100000, uint64_t{loader.upper_kib} * 1024);
  }
}

void read_modules(const MultibootInformation& loader) {
  if (!(loader.flags & MultibootInformation::kModules)) return;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < std::min(loader.module_count, 64u); i++) {
    const auto* module = loader_data<MultibootModule>(loader.modules + i * static_cast<uint32_t>(sizeof(MultibootModule)));
    if (!module || module->end <= module->start) continue;
    uint32_t bytes = module->end - module->start;
    reserve(module->start, bytes);
    if (kept < kMaxModules && loader_data<char>(module->start, bytes)) {
      modules[kept++] = {PhysAddr(module->start), bytes, copy_string(module->command_line)};
      uint32_t end = clip(frames_touched(module->start, bytes).end);
      information.memory_end = std::max(information.memory_end, FrameNumber(end));
    }
  }
  information.modules = {modules.data(), kept};
}

void check_enough_memory() {
  if (usable.frames() >= kLeastFrames) return;
  if (usable.frames() == 0) PANIC("the boot loader says nothing of usable memory (no map, no size)");
  log(LogLevel::kError, "{} KiB of usable memory; this kernel needs {} KiB", usable.frames() * 4, kLeastFrames * 4);
  PANIC("too little memory");
}

}  // namespace

const BootInformation& boot_information() { return information; }

void boot_information_initialize(uint32_t multiboot_information) {
  information.entered_at = clock_cycles();
  const auto* loader = loader_data<MultibootInformation>(multiboot_information);
  if (!loader) PANIC("the boot loader's information block is out of reach");
  if (loader->flags & MultibootInformation::kCommandLine) information.command_line = copy_string(loader->command_line);
  if (loader->flags & MultibootInformation::kLoaderName) information.loader_name = copy_string(loader->loader_name);

  information.memory_end = FrameNumber(0);
  read_memory_map(*loader);
  reserve(0, kPageSize);
  reserve(kTrampolineFrame << kPageShift, kPageSize);
  usable.remove(0xA0000 >> kPageShift, kMegabyteFrame);  // video memory and ROMs, whatever the map says
  uint32_t image = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(kernel_image_start)) - kKernelBase;
  reserve(image, static_cast<uint32_t>(kernel_image_end - kernel_image_start));
  read_modules(*loader);
  check_enough_memory();
  information.usable = usable.ranges();
  information.usable_frames = usable.frames();
}

FrameNumber boot_frames_take(uint32_t count) {
  FrameNumber first = usable.take(count, kMegabyteFrame);
  if (first.is_none()) PANIC("too little contiguous memory for the kernel's page tables");
  information.usable = usable.ranges();
  information.usable_frames = usable.frames();
  return first;
}

}  // namespace faultline
