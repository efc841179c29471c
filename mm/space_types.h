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

 protected:
  ~RegionBacking() = default;
};

enum class RegionKind : uint8_t { kAnonymousOrFile, kHeap, kStack, kVdso };

}  // namespace faultline
