// What the kernel tells of one page fault to who watches the process: the records of /proc/PID/faults. Linux has no such thing, so the
// format is ours; user/include/faultline/faults.h says how it is read.
#pragma once

#include <cstddef>
#include <cstdint>

namespace faultline {

// Why the fault ended as it did: one of the ends of the staircase above mm/fault.cpp's code.
enum class FaultDecision : uint8_t {
  kNone,
  // Nothing to bring:
  kAllowedAlready,  // another CPU, or an entry that lied beside another fault's, had it done
  kRevealed,        // the page was there all the time, behind PROT_NONE
  // Private anonymous memory:
  kZeroPage,          // a read: the page of zeroes, read-only
  kZeroFrame,         // a write: a frame of zeroes of its own
  kZeroPageReplaced,  // a write to the page of zeroes: likewise
  kMadeWritable,      // a write by the last user of a frame: no copy
  kCopied,            // a write to a frame with other users (or one that the kernel uses)
  kSwappedIn,         // a page that was in swap: read-only, for its slot is kept
  // A file, or shared memory:
  kFileMapped,     // its page in the cache becomes visible here
  kFileCopied,     // a private write: a copy of that page
  kSharedWritten,  // a shared write: the page itself, which is dirty now
  // No page: signals.
  kNotMapped,    // SIGSEGV, SEGV_MAPERR: no region
  kNotAllowed,   // SIGSEGV, SEGV_ACCERR: the region forbids it
  kPastEnd,      // SIGBUS: past the file's end, or it could not be read
  kOutOfMemory,  // SIGKILL
  kKernelHalf,   // SIGSEGV: a user instruction, but the kernel's address
};

// What happened on the way, by bit.
enum FaultStep : uint8_t {
  kFaultMajor = 1,           // the disk was read and waited for
  kFaultWaited = 2,          // for a page that somebody else was bringing
  kFaultStackGrew = 4,       // the stack's region reaches down to here now
  kFaultTableMade = 8,       // the directory entry was empty: a page table was made
  kFaultTableUnshared = 16,  // the page table was shared since a fork: this process got its own
  kFaultNewShared = 32,      // the page was not in the object yet: a frame of zeroes joined it
  kFaultRoomPromised = 64,   // the file system was asked for room for the page first
  kFaultReclaimed = 128,     // memory was short: other pages had to go first
};

enum class FaultAccess : uint8_t { kRead, kWrite, kExecute };
// kUser: an instruction of the program's. kKernel: the kernel's while it copied for the program (read(2) into fresh memory). kAhead: no
// trap at all, the kernel brought the page beforehand (MAP_POPULATE, mlock, exec's stack).
enum class FaultMode : uint8_t { kUser, kKernel, kAhead };
enum class FaultRegion : uint8_t { kNone, kAnonymous, kFile, kSharedMemory, kHeap, kStack, kOther };

struct FaultRecord {
  uint64_t number;  // counts this watch's records from 1; a gap is what was lost because nobody read
  uint64_t time;    // nanoseconds since boot
  uint32_t pid, tid;
  uint8_t cpu;
  uint8_t kind;    // 1: a fault (others may come)
  uint16_t bytes;  // sizeof(FaultRecord): where the next record begins
  FaultAccess access;
  FaultMode mode;
  FaultDecision decision;
  uint8_t steps;  // FaultStep
  uint32_t address, instruction;
  uint32_t cost;  // ticks of the cycle counter; guest instructions under tools/run --icount
  uint32_t pte_before, pte_after, directory_before, directory_after;  // as the processor sees them
  uint32_t users;                                                     // page-table entries that named the old frame, this one included
  uint32_t file_page;                                                 // of the region's file or shared memory
  uint32_t region_start, region_end;
  FaultRegion region;
  uint8_t protection;  // 1 read, 2 write, 4 execute, 8 shared
  uint8_t neighbours;  // further entries filled by the same fault
  uint8_t watch;       // the kernel's: whose record it is
  char name[48];       // the region's file, its end if it is longer; ended by NUL
};
static_assert(sizeof(FaultRecord) == 128 && offsetof(FaultRecord, access) == 28 && offsetof(FaultRecord, name) == 80);

}  // namespace faultline
