// Dropping caches, in the order in which one holds the other: names hold inodes, inodes hold pages, pages hold slabs.
#include "kernel/proc/drop_caches.h"

#include "fs/dentry.h"
#include "fs/ext2/file_system.h"
#include "fs/mount.h"
#include "kernel/net/internet/internet.h"
#include "kernel/net/unix_in_flight.h"
#include "kernel/signal.h"
#include "kernel/thread.h"
#include "mm/frames.h"
#include "mm/object.h"
#include "mm/reclaim.h"
#include "mm/reverse_map.h"
#include "mm/slab.h"
#include "mm/space.h"

namespace faultline {

void drop_page_cache() { objects_drop_clean(); }

void drop_names() {
  while (dentries_shrink() > 0) {
  }
  while (ext2_inodes_shrink(~0u) > 0) {
  }
  slab_drain();
}

void drop_all_caches() {
  UnixInFlight::collect();  // sockets that nobody can receive any more
  // Twice: writing inodes back changes pages of the disk's own cache.
  for (int round = 0; round < 2; round++) {
    drop_names();
    ignore_result(mounts_synchronize(WriteBack::kWait));  // what cannot be written stays
    drop_page_cache();
  }
  thread_cache_trim(0);
  directories_drain();
  signal_entries_trim();
  slab_drain();
}

uint32_t free_frames_without_caches() {
  internet_forget_ended();
  drop_all_caches();
  reclaim_clean(~0u);
  reverse_maps_compact();
  slab_drain();  // of the nodes that named those pages
  return frame_statistics().free + thread_cache_frames();
}

}  // namespace faultline
