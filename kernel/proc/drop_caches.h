// Giving back what the kernel only keeps because it may be wanted again: /proc/sys/vm/drop_caches.
#pragma once

#include <cstdint>

namespace faultline {

// Clean pages of files and disks. Sleeps.
void drop_page_cache();
// Names and inodes that nobody uses, and the memory they were in. Sleeps.
void drop_names();
// Both, until nothing more comes; changed pages are written first. Empty slabs, magazines and spare kernel stacks too. Sleeps.
void drop_all_caches();
// How many frames are free when all caches are dropped and even mapped file pages have gone: what remains is what processes and the
// kernel hold for good, so two counts around a test tell a leak to the frame. Sleeps.
uint32_t free_frames_without_caches();

}  // namespace faultline
