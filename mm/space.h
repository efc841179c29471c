// An address space: an ordered set of regions over one page directory. Permission comes from the region alone; page-table entries only
// cache it. See architecture.md for the fault's cases and invariants M1 to M7 (docs/ has ours).
#pragma once

#include <cstdint>

#include "arch/mmu.h"
#include "lib/format.h"
#include "lib/mutex.h"
#include "lib/ref.h"
#include "lib/result.h"
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

struct MapRequest {
  VirtAddr address;               // a hint, or the place (fixed)
  uint32_t bytes = 0;             // rounded up to pages
  Protection protection = 0;
  Protection max_protection = kProtRead | kProtWrite | kProtExecute;  // mprotect's limit: a read-only descriptor shared has no write
  bool shared = false;
  bool fixed = false;             // replaces what is there
  bool no_replace = false;        // fixed, but kEXIST if something is there
  bool grows_down = false;
  bool populate = false;
  bool no_reserve = false;
  RegionKind kind = RegionKind::kAnonymousOrFile;
  Ref<Object> object;             // null: private anonymous
  PageIndex object_offset;
  Ref<RegionBacking> backing;     // null unless a file
};

// Why a fault could not be resolved: what the signal says (siginfo).
enum class FaultOutcome : uint8_t {
  kResolved,      // retry the instruction
  kNotMapped,     // SIGSEGV, SEGV_MAPERR
  kNotAllowed,    // SIGSEGV, SEGV_ACCERR
  kBusError,      // SIGBUS, BUS_ADRERR: past the file's end, or an I/O error
  kOutOfMemory,   // the killer's business
};

// What /proc/PID/maps and friends show of one region.
struct RegionView {
  VirtAddr start, end;
  Protection protection;
  bool shared;
  RegionKind kind;
  PageIndex object_offset;
  RegionBacking* backing;  // valid only during the callback
};

struct SpaceStatistics {
  uint32_t mapped_pages;         // VmSize
  uint32_t resident_anonymous, resident_file, resident_shared;
  uint32_t peak_resident;        // VmHWM, ru_maxrss
  uint32_t page_table_pages;
  uint32_t stack_pages, data_pages, text_pages, locked_pages;
};

class AddressSpace : public RefCounted<AddressSpace> {
 public:
  static Result<Ref<AddressSpace>> create();
  // Copy-on-write copy; costs per 4 MiB in use. The caller is the running thread of this space. `hot` is the user stack pointer, whose
  // table is un-shared eagerly.
  Result<Ref<AddressSpace>> fork(VirtAddr hot);
  static void destroy(AddressSpace*);

  // mmap family; Linux's semantics and errno (kNOMEM, kINVAL, kEXIST, kACCES, kPERM). All may sleep.
  Result<VirtAddr> map(const MapRequest& request);
  Result<void> unmap(VirtAddr start, uint32_t bytes);
  Result<void> protect(VirtAddr start, uint32_t bytes, Protection protection);
  Result<VirtAddr> remap(VirtAddr old_start, uint32_t old_bytes, uint32_t new_bytes, uint32_t flags, VirtAddr new_start);
  Result<void> sync(VirtAddr start, uint32_t bytes, uint32_t flags);
  Result<void> advise(VirtAddr start, uint32_t bytes, uint32_t advice);
  // One byte for each page to `vector` (bit 0: resident).
  Result<void> in_core(VirtAddr start, uint32_t bytes, VirtAddr vector);
  Result<void> lock_pages(VirtAddr start, uint32_t bytes);
  Result<void> unlock_pages(VirtAddr start, uint32_t bytes);

  // brk(2): returns the break after the call (unchanged if it could not be moved). `data_limit` is RLIMIT_DATA in bytes.
  void set_break_start(VirtAddr start);
  VirtAddr set_break(VirtAddr wanted, uint64_t data_limit);
  // The stack region may grow to this many bytes (RLIMIT_STACK); RLIMIT_AS in bytes.
  void set_limits(uint64_t stack_bytes, uint64_t address_space_bytes);

  // The page-fault path. Called with nothing held, interrupts on; sleeps. Counts minor and major faults of `current_thread()` through
  // fault_count_minor()/fault_count_major().
  FaultOutcome handle_fault(VirtAddr address, Access access);

  // Runs this space on this CPU / stops doing so. Called by the scheduler with interrupts off. deactivate may leave the directory loaded (lazily).
  void activate();
  static void deactivate();

  // Bytes of another space (not the running one), through the direct map (xv6: copyout, loaduvm): for /proc/PID/cmdline, ptrace-like readers.
  Result<size_t> read_foreign(VirtAddr address, void* destination, size_t bytes);
  Result<size_t> write_foreign(VirtAddr address, const void* source, size_t bytes);

  // Calls `visit(view, context)` for each region in order; stops when it returns false. Holds the space for reading.
  void for_each_region(bool (*visit)(const RegionView&, void* context), void* context);
  SpaceStatistics statistics();
  // For /proc/PID/pagemap and the lectures' page-table dumps: the entry that maps `page`, or an empty one.
  Pte entry_of(VirtAddr page);

  // The MM owner adds the private state here.
};

// Upward notifications that kernel/ implements: one fault of the current thread was served from memory / had to wait for the disk.
void fault_count_minor();
void fault_count_major();

// Sets up the zero page and caches. Boot only, after frames and slab.
void spaces_initialize();

}  // namespace faultline
