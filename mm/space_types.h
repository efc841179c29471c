// The words in which regions and faults are spoken of: access, protection, what backs a region.
#pragma once

#include <cstdint>

#include "lib/format.h"
#include "mm/object.h"

namespace faultline {

enum class Access : uint8_t { kRead, kWrite, kExecute };

// A region's protection: bits as PROT_READ, PROT_WRITE, PROT_EXEC of mmap(2).
using Protection = uint8_t;
inline constexpr Protection kProtNone = 0, kProtRead = 1, kProtWrite = 2, kProtExecute = 4;

// What keeps a file mapping's file open and names it in /proc/PID/maps. fs/file.h implements it.
class RegionBacking {
 public:
  virtual void acquire() = 0;
  virtual void release() = 0;
  virtual void describe(FormatSink& sink) const = 0;  // the path
  virtual uint32_t device() const = 0;
  virtual uint64_t inode_number() const = 0;
  // Everything written to the file is on its device: msync(MS_SYNC). Sleeps; nothing may be held.
  virtual Result<void> synchronize(bool data_only) { return (void)data_only, Result<void>(); }
  // The pages become a hole, for everybody: madvise(MADV_REMOVE). Sleeps; nothing may be held. kOPNOTSUPP: they cannot.
  virtual Result<void> punch_hole(PageIndex first, uint32_t pages) { return (void)first, (void)pages, Errno::kOPNOTSUPP; }

 protected:
  ~RegionBacking() = default;
};

// mlock(2): pages are brought in and kept; kOnFault brings in only what is touched.
enum class LockMode : uint8_t { kNone, kLocked, kOnFault };

// madvise(2)'s word on how a region will be read: how much a miss brings.
enum class ReadingOrder : uint8_t { kNormal, kRandom, kSequential };

// What fork does with a region: madvise(2)'s DONTFORK and WIPEONFORK.
enum class Inheritance : uint8_t { kCopied, kLeftOut, kEmpty };

enum class RegionKind : uint8_t { kAnonymousOrFile, kHeap, kStack, kVdso, kTimePage, kSegment };

}  // namespace faultline
