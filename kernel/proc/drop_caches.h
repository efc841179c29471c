// Giving back what the kernel only keeps because it may be wanted again: /proc/sys/vm/drop_caches.
#pragma once

namespace faultline {

// Clean pages of files and disks. Sleeps.
void drop_page_cache();
// Names and inodes that nobody uses, and the memory they were in. Sleeps.
void drop_names();
// Both, until nothing more comes; changed pages are written first. Empty slabs, magazines and spare kernel stacks too. Sleeps.
void drop_all_caches();

}  // namespace faultline
