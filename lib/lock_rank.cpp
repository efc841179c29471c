// What ranks are called in reports. The compiler tells of one that is missing.
#include "lib/lock_rank.h"

#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG

namespace faultline {

const char* lock_rank_name(LockRank rank) {
  switch (rank) {
    case LockRank::kMountTable: return "mount table";
    case LockRank::kRename: return "rename";
    case LockRank::kFile: return "file";
    case LockRank::kInodeContent: return "inode content";
    case LockRank::kDirectory: return "directory";
    case LockRank::kEventNesting: return "event nesting";
    case LockRank::kEventPoll: return "event poll";
    case LockRank::kRingSubmission: return "ring submission";
    case LockRank::kTerminal: return "terminal";
    case LockRank::kPipe: return "pipe";
    case LockRank::kNetwork: return "network";
    case LockRank::kSpace: return "space";
    case LockRank::kObject: return "object";
    case LockRank::kFrameBusy: return "frame busy";
    case LockRank::kBlockMap: return "block map";
    case LockRank::kAllocation: return "allocation";
    case LockRank::kJournal: return "journal";
    case LockRank::kDriver: return "driver";
    case LockRank::kTimers: return "timers";
    case LockRank::kReclaim: return "reclaim";
    case LockRank::kFutex: return "futex";
    case LockRank::kProcessTable: return "process table";
    case LockRank::kProcess: return "process";
    case LockRank::kSignal: return "signal";
    case LockRank::kDentry: return "dentry";
    case LockRank::kDescriptors: return "descriptors";
    case LockRank::kFileWatches: return "file watches";
    case LockRank::kUnixSockets: return "Unix sockets";
    case LockRank::kRing: return "ring";
    case LockRank::kFileLocks: return "file locks";
    case LockRank::kMessages: return "messages";
    case LockRank::kPageTable: return "page table";
    case LockRank::kReclaimQueue: return "reclaim queue";
    case LockRank::kDirtyObjects: return "dirty objects";
    case LockRank::kInodeCache: return "inode cache";
    case LockRank::kReverseMap: return "reverse map";
    case LockRank::kSwapSlots: return "swap slots";
    case LockRank::kClockTimers: return "clock timers";
    case LockRank::kDevice: return "device";
    case LockRank::kBlockQueue: return "block queue";
    case LockRank::kTimer: return "timer";
    case LockRank::kWaitQueue: return "wait queue";
    case LockRank::kRingReady: return "ring ready";
    case LockRank::kPriorityLoans: return "priority loans";
    case LockRank::kRunQueue: return "run queue";
    case LockRank::kFrameAllocator: return "frame allocator";
    case LockRank::kSlab: return "slab";
    case LockRank::kShootdown: return "shootdown";
    case LockRank::kLog: return "log";
    case LockRank::kLeaf: return "leaf";
    case LockRank::kSleepingLast: break;
  }
  return "?";
}

}  // namespace faultline

#endif
