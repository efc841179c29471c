// The lock order of the whole kernel on one page: a lock may be taken only while every lock held has a lower rank.
// Checked at run time in debug builds. Reclaim goes against the order and therefore only ever tries.
#pragma once

#include <cstdint>

namespace faultline {

enum class LockRank : uint8_t {
  // Sleeping locks, outermost first. Nothing that sleeps may be held with a spin lock.
  kMountTable = 1,
  kRename,          // one rename that moves a directory at a time
  kFile,            // the position of one open file: held across the whole read or write, so before the inode's
  kInodeContent,    // serialises write, truncate and append of one inode; held across user copies, so *before* the
                    // space: a fault taken while copying may take the space, and the fault path never takes this one
  kDirectory,       // entries of one directory (parents before children)
  kEventNesting,    // who puts one epoll instance into another, one at a time
  kEventPoll,       // an epoll instance, before those in it; files are asked and user memory is written under it
  kRingSubmission,  // a ring's queue of submissions; user memory is read under it, no file is asked
  kTerminal,
  kPipe,
  kNetwork,     // the protocol engine's core; no user memory is touched under it
  kSpace,       // an address space's regions (read-write)
  kObject,      // an object's size and page index
  kFrameBusy,   // one page under I/O: a bit, sleeps
  kBlockMap,    // where one inode's data lies; may do I/O to metadata pages
  kAllocation,  // a file system's bitmaps and counts; may do I/O to metadata pages
  kJournal,     // the state of a file system as its disk shows it
  kDriver,      // a device that serves one request at a time
  kTimers,      // those of one process, or of one file, while they are set
  kReclaim,     // the search for pages to free; who holds it waits for nothing
  kSleepingLast = 31,
  // Spin locks.
  kFutex = 32,  // a bucket of futexes; user memory is touched under it only as far as it is there (kernel/futex_table.h)
  kProcessTable,
  kProcess,
  kSignal,
  kDentry,
  kDescriptors,
  kFileWatches,   // who watches open files
  kUnixSockets,   // how AF_UNIX sockets are connected, and what is on its way between them
  kRing,          // the requests of one io_uring, or of one process; its completions
  kFileLocks,     // advisory locks of one inode
  kMessages,      // who waits to send to whom, and to receive
  kPageTable,     // one page-table page, the lock is in its frame
  kReclaimQueue,  // the page cache's replacement queue; the reclaimer tries objects and tables under it
  kDirtyObjects,  // the list of objects that may hold dirty pages
  kInodeCache,    // asked by the walker of that list whether the object's owner lives
  kReverseMap,    // the bit in a frame
  kSwapSlots,
  kClockTimers,  // programs' timers of all clocks, and setting the wall clock; their files' locks come under it
  kDevice,
  kBlockQueue,
  kTimer,
  kWaitQueue,      // an epoll instance's under that of what it watches: the one rank that nests (lib/lock_order.cpp)
  kRingReady,      // requests that are to go on; under the queue that woke them
  kPriorityLoans,  // who waits for whom, and lends it its priority
  kRunQueue,
  kFrameAllocator,
  kSlab,
  kShootdown,
  kLog,
  kLeaf,
};

// For reports.
const char* lock_rank_name(LockRank rank);

}  // namespace faultline
