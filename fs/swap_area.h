// What swapon(2) makes of a partition or a file: a store for mm's swap (mm/swap.h), whose place on the disk is known beforehand, so that pages
// can go out when there is no memory to look anything up. And the list of those that are in use.
#pragma once

#include <cstdint>
#include <optional>

#include "fs/file.h"
#include "lib/format.h"

namespace faultline {

void swap_areas_initialize();  // boot

// Swaps to what is open: a block device, which nobody else may have claimed, or a regular file without holes. `priority` is from 0 to 32767; without
// one the areas fill in the order in which they came, after all that have one. kINVAL: it is neither, or its header is refused (the log says
// why); kBUSY; kPERM: there are too many areas; kIO, kNOMEM.
Result<void> swap_on(Ref<File> file, std::optional<int32_t> priority);
// Brings everything back from what `inode` stands for, which is as free afterwards as before. kINVAL: there is no swap on it; kNOMEM, kIO, kINTR: it
// is in use as before.
Result<void> swap_off(Inode& inode);

// What /proc/swaps shows of an area.
struct SwapAreaView {
  const File& file;
  bool is_partition;
  uint32_t pages, used;
  int32_t priority;
};
// In the order of their numbers. `visit` must not call swap_on or swap_off.
void swap_areas_for_each(void (*visit)(const SwapAreaView& area, void* context), void* context);

}  // namespace faultline
