// What the boot loader told us, copied out of its memory before anything of ours could overwrite it: usable RAM, modules,
// command line. boot/multiboot.cpp fills it in; after that it never changes.
#pragma once

#include <cstdint>
#include <span>

#include "lib/address.h"
#include "lib/string.h"
#include "mm/frames.h"

namespace faultline {

struct BootModule {
  PhysAddr start;      // page-aligned by the loader, or not
  uint32_t bytes = 0;  // inside the direct map, reserved for good
  StringView command_line;
};

struct BootInformation {
  uint64_t entered_at = 0;  // clock_cycles() when the kernel began: the counter has run since power-on
  StringView loader_name;
  StringView command_line;             // all of it, as given
  std::span<const FrameRange> usable;  // sorted, disjoint; without the kernel image, modules and what boot_frames took
  std::span<const BootModule> modules;
  FrameNumber memory_end;  // one past the highest frame of the direct map that any map entry names
  uint32_t usable_frames = 0;
  uint32_t frames_beyond_reach = 0;  // RAM past the direct map's end, which we leave
};
const BootInformation& boot_information();

// Decodes the loader's block at this physical address; panics with a clear message if there is too little RAM.
// boot/multiboot.cpp implements it.
void boot_information_initialize(uint32_t multiboot_information);

// Contiguous frames that are never given back, for tables that must exist before mm (see BootFrameSource). Not after
// frames_initialize.
FrameNumber boot_frames_take(uint32_t count);

// An option `name=value` of the command line before `--`: its value (the last one wins), or `fallback`.
StringView boot_option(StringView name, StringView fallback = {});
uint32_t boot_option_number(StringView name, uint32_t fallback);
// What follows `--`, for init.
StringView boot_init_arguments();

}  // namespace faultline
