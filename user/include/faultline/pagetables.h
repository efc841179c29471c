// The page tables of a process: /proc/PID/pagetables.
//
// Eight bytes for each entry, to be read with pread() at any multiple of eight: first the 1,024 entries of the directory, then for each of
// them the 1,024 entries of the table below it (zeroes where there is none, and below a 4 MiB page). So the entry of the directory for an
// address is number (address >> 22), and its table's entry number 1024 + (address >> 12).
//
// The low word is the entry as the processor sees it (Intel SDM volume 3, 4.3), the high word what the kernel knows of the frame it names.
// Who may read it: as /proc/PID/pagemap. Only root is told of frames (otherwise their numbers are 0) and of the kernel's half (0x80000000
// up, otherwise empty).
#pragma once

#include <stdint.h>

namespace faultline {

// What a frame is used for. (mm/frames.h: FrameUse)
enum class FrameKind : uint8_t { kNone, kReserved, kKernel, kSlab, kKernelStack, kPageDirectory, kPageTable, kAnonymous, kFile };

struct TableEntry {
  uint32_t entry;
  uint32_t users : 24;  // processes that see the frame through their page tables; of a table: that use it
  uint32_t kind : 8;    // FrameKind
};
static_assert(sizeof(TableEntry) == 8);

constexpr uint32_t kDirectoryEntries = 1024;
constexpr uint64_t directory_entry_offset(uint32_t address) { return uint64_t{address >> 22} * sizeof(TableEntry); }
constexpr uint64_t table_entry_offset(uint32_t address) { return (kDirectoryEntries + uint64_t{address >> 12}) * sizeof(TableEntry); }

}  // namespace faultline
