// An address space: an ordered set of regions over one page directory. Permission comes from the region alone; page-table entries only
// cache it. See architecture.md for the fault's cases and invariants M1 to M7 (docs/ has ours).
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <span>

#include "arch/mmu.h"
#include "lib/format.h"
#include "lib/mutex.h"
#include "lib/ref.h"
#include "lib/result.h"
#include "mm/commit.h"
#include "mm/fault_story.h"
#include "mm/object.h"
#include "mm/page_table.h"
#include "mm/region.h"
#include "mm/space_types.h"

namespace faultline {

// What mmap is asked for; map() makes it what the region says. No object: private memory, or shared memory of its own.
struct MapRequest : Mapping {
  MapRequest() {}  // not constexpr, and so no image to be copied: what the caller sets is stored once

  VirtAddr address;         // a hint, or the place (fixed)
  uint32_t bytes = 0;       // rounded up to pages
  bool fixed = false;       // replaces what is there
  bool no_replace = false;  // fixed, but kEXIST if something is there
  bool populate = false;
  RegionBacking* lent_backing = nullptr;  // instead of `backing`: acquired only by the region itself, for who counts regions
  Region* after = nullptr;                // what follows the place that was chosen
};

// Why a fault could not be resolved: what the signal says (siginfo).
enum class FaultOutcome : uint8_t {
  kResolved,     // retry the instruction
  kNotMapped,    // SIGSEGV, SEGV_MAPERR
  kNotAllowed,   // SIGSEGV, SEGV_ACCERR
  kBusError,     // SIGBUS, BUS_ADRERR: past the file's end, or an I/O error
  kOutOfMemory,  // the killer's business
};

// What /proc/PID/maps and friends show of one region.
struct RegionView {
  VirtAddr start, end;
  Protection protection, max_protection;
  bool shared, grows_down, locked, no_reserve;
  RegionKind kind;
  PageIndex object_offset;
  RegionBacking* backing;  // valid only during the callback
};

// Pages of one region, as /proc/PID/smaps counts them: shared are those that several spaces see.
struct RegionStatistics {
  static constexpr uint64_t kWhole = 1u << 12;  // of `proportional`: each page divided by its users
  uint32_t resident = 0, shared_clean = 0, shared_dirty = 0, private_clean = 0, private_dirty = 0, referenced = 0, anonymous = 0,
           swapped = 0;
  uint64_t proportional = 0, swapped_proportional = 0;
};

// An entry of a table or directory, and what it leads to.
struct EntryView {
  Pte entry;
  uint32_t users = 0;  // spaces that see this frame (of a table: that use it); 0: not counted
  FrameUse use = FrameUse::kFree;
};

struct SpaceStatistics {
  uint32_t mapped_pages;  // VmSize
  uint32_t resident_anonymous, resident_file, resident_shared;
  uint32_t peak_resident;  // VmHWM, ru_maxrss
  uint32_t swapped;        // VmSwap: of private pages
  uint32_t page_table_pages;
  uint32_t stack_pages, data_pages, text_pages, locked_pages;
};

struct AllSpaces;                      // the list of all address spaces
extern Atomic<uint32_t> entries_lost;  // by reclaim, truncation, and tables copied in part

class AddressSpace : public RefCounted<AddressSpace>, public ListNode<AllSpaces> {
 public:
  static constexpr uint32_t kGuardPages = 256;  // that stay free below a region that grows down

  static Result<Ref<AddressSpace>> create();
  // Copy-on-write copy; costs per 4 MiB in use. The caller is the running thread of this space. `hot` is the user stack pointer, whose
  // table is un-shared eagerly.
  Result<Ref<AddressSpace>> fork(VirtAddr hot);
  static void destroy(AddressSpace*);

  // mmap family; Linux's semantics and errno (kNOMEM, kINVAL, kEXIST, kACCES, kPERM). All may sleep.
  // map() uses its request up.
  Result<VirtAddr> map(MapRequest& request);
  Result<void> unmap(VirtAddr start, uint32_t bytes);
  enum class Reach : uint8_t { kExact, kToRegionStart };  // PROT_GROWSDOWN: from the start of the region, which must grow down
  Result<void> protect(VirtAddr start, uint32_t bytes, Protection protection, Reach reach = Reach::kExact);
  Result<VirtAddr> remap(VirtAddr old_start, uint32_t old_bytes, uint32_t new_bytes, uint32_t flags, VirtAddr new_start);
  Result<void> sync(VirtAddr start, uint32_t bytes, uint32_t flags);
  Result<void> advise(VirtAddr start, uint32_t bytes, uint32_t advice);
  // One byte for each page to `vector` (bit 0: resident).
  Result<void> in_core(VirtAddr start, uint32_t bytes, VirtAddr vector);
  // mlock, munlock (kNone): whole pages that have any of the bytes. kPERM, kNOMEM past RLIMIT_MEMLOCK; kAGAIN: pages could not be had.
  Result<void> lock_pages(VirtAddr start, uint32_t bytes, LockMode mode);
  // mlockall: what is mapped now (unless none is said), and what will be from now on.
  Result<void> lock_all(std::optional<LockMode> now, LockMode future);

  // brk(2): returns the break after the call (unchanged if it could not be moved). `data_limit` is RLIMIT_DATA in bytes.
  void set_break_start(VirtAddr start);
  VirtAddr set_break(VirtAddr wanted, uint64_t data_limit);
  // The stack region may grow to this many bytes (RLIMIT_STACK); RLIMIT_AS in bytes.
  void set_limits(uint64_t stack_bytes, uint64_t address_space_bytes);
  // What is mapped or protected as readable from now on is executable as well, break included (READ_IMPLIES_EXEC of personality(2)).
  void set_reading_executes(bool on) { reading_executes_.store(on, memory_order_relaxed); }

  // Takes `pages` pages, all in one table, out of the processor's sight but for the `visible` ones: the next touch of each faults and brings
  // nothing. For who follows what a process touches; without memory nothing is hidden.
  void hide_pages(VirtAddr start, uint32_t pages, std::span<const VirtAddr> visible = {});

  // The page-fault path. Called with nothing held, interrupts on; sleeps. Counts minor and major faults of `current_thread()` through
  // fault_count_minor()/fault_count_major().
  FaultOutcome handle_fault(VirtAddr address, Access access);
  // The same for a thread that is watched: fills in the story. User addresses only.
  FaultOutcome handle_fault_watched(VirtAddr address, Access access, FaultStory& story);

  // Runs this space on this CPU / stops doing so. Called by the scheduler with interrupts off. deactivate may leave the directory loaded (lazily).
  void activate();
  static void deactivate();

  // Bytes of another space (not the running one), through the direct map (xv6: copyout, loaduvm): for exec, /proc/PID/cmdline, ptrace-like
  // readers. As many as can be had; if that is none: kFAULT, kNOMEM, or kIO where a touch would be SIGBUS.
  Result<size_t> read_foreign(VirtAddr address, void* destination, size_t bytes);
  Result<size_t> write_foreign(VirtAddr address, const void* source, size_t bytes);
  // The same between this space (`theirs`) and the running one (`ours`): one copy, from page to page. All of it, or why not and on whose side
  // (kFAULT; ours: kINTR, killed; theirs: kNOMEM, kIO), with a part copied.
  enum class Towards : uint8_t { kThem, kUs };
  struct CopyOutcome {
    Errno ours{}, theirs{};
  };
  CopyOutcome copy_foreign(VirtAddr theirs, VirtAddr ours, uint32_t bytes, Towards towards);

  // Calls `visit(view, context)` for each region in order; stops when it returns false. Holds the space for reading.
  void for_each_region(bool (*visit)(const RegionView&, void* context), void* context);
  void for_each_region_counted(bool (*visit)(const RegionView&, const RegionStatistics&, void* context), void* context);
  // Of the region at `address`, if there is one.
  void visit_region(VirtAddr address, void (*visit)(const RegionView&, void* context), void* context);
  SpaceStatistics statistics();                                                               // walks the tables
  uint32_t peak_resident_pages() const { return peak_resident_.load(memory_order_relaxed); }  // cheap: for ru_maxrss
  // What identifies a page to everybody who shares it (futexes): its object and index there, or, of private memory, the space and its
  // number. An object is only a name unless `keep` gets a reference to it. kFAULT: nothing is mapped there.
  struct PageName {
    const void* owner;
    uint32_t page;
    bool operator==(const PageName&) const = default;
  };
  PageName private_name(VirtAddr address) const { return {this, address.value() >> kPageShift}; }
  Result<void> name_page(VirtAddr address, PageName& name, Ref<Object>* keep = nullptr) {
    SharedLockGuard guard(lock_);
    const Region* region = regions_.find(address);
    if (!region) return Errno::kFAULT;
    if (!region->shared || !region->object) {
      name = private_name(address);
      return {};
    }
    name = {region->object.get(), region->index_of(address).value()};
    if (keep) *keep = region->object;
    return {};
  }
  // The entry that maps `page`, or an empty one.
  Pte entry_of(VirtAddr page);
  // For /proc/PID/pagemap and pagetables: the same with what it leads to, and the directory's entries; the kernel's half too.
  EntryView view_entry(VirtAddr page);
  EntryView view_directory_entry(uint32_t index);

  // Truncation: takes away the private copies of `object`'s pages from `first` on. Whether any private mapping of it is left.
  bool drop_copies(const Object& object, PageIndex first);

  // A page that stays as it is while the pin lives, whoever writes to it (they get copies): for moving data without copying it. kFAULT.
  Result<PinnedFrame> loan_page(VirtAddr page);

  // Whether this directory names `table` at that place; for the invariants.
  bool uses_table(FrameNumber table, uint32_t index) const {
    Pte entry = pte_load(directory_slot(index));
    return entry.is_present() && entry.frame() == table;
  }

  // Constructor for create() and fork().
  explicit AddressSpace(FrameNumber directory) : directory_(directory) {}

 private:
  friend class Fault;         // fault.h
  friend class SpaceChecker;  // check.cpp
  friend class SpaceList;     // space.cpp

  PteSlot& directory_slot(uint32_t index) const { return table_slots(directory_)[index]; }
  Pte directory_entry(VirtAddr page) const { return pte_load(directory_slot(page.directory_index())); }
  // The table below a directory entry, made if it is absent, and this space's own in any case. kNOMEM.
  Result<FrameNumber> own_table(uint32_t directory_index) REQUIRES_SHARED(lock_);
  // The first table in use from `index` on, if it is not past `last`; what is past that says nothing.
  uint32_t next_table(uint32_t index, uint32_t last) const {
    for (; index <= last; index = (index | 31) + 1) {
      const uint32_t bits = tables_[index / 32].load(memory_order_relaxed) >> index % 32;
      if (bits != 0) return index + static_cast<uint32_t>(std::countr_zero(bits));
    }
    return index;
  }
  // Calls visit(directory index) for every table in use in first..last.
  template <typename Visit>
  void for_each_table(uint32_t first, uint32_t last, Visit visit) const {
    for (uint32_t index = next_table(first, last); index <= last; index = next_table(index + 1, last)) visit(index);
  }
  // Calls visit(directory index, first slot, last slot) for every table in use that has pages of the range.
  template <typename Visit>
  void for_each_table_within(VirtAddr start, VirtAddr end, Visit visit) const {
    const VirtAddr last = end - 1;
    const uint32_t first_table = start.directory_index(), last_table = last.directory_index();
    for (uint32_t index = next_table(first_table, last_table); index <= last_table; index = next_table(index + 1, last_table))
      visit(index, index == first_table ? start.table_index() : 0, index == last_table ? last.table_index() : kEntriesPerTable - 1);
  }

  // Where a request goes: its start, its end, what follows. A fixed place is emptied, unless that is not wanted (kEXIST).
  Result<void> choose_place(MapRequest& request, DeadRegions& dead) REQUIRES(lock_);
  // At `hint` if that is free, or as high as can be; starts at 0 if there is none.
  [[gnu::always_inline]] inline RegionSet::Gap find_place(VirtAddr hint, uint32_t bytes) REQUIRES(lock_);
  // The right to execute, if it comes with those of `wanted` here.
  Protection implied_by(Protection wanted) const {
    return (wanted & kProtRead) && reading_executes_.load(memory_order_relaxed) ? kProtExecute : kProtNone;
  }
  Protection with_execution(Protection wanted, Protection limit) const { return wanted | (implied_by(wanted) & limit); }
  // Addresses are chosen below the room the stack may want.
  static VirtAddr ceiling_below_stack(uint32_t stack_bytes);
  static bool is_in_the_way(VirtAddr end, const Region* after);
  // A mapping that continues a neighbour makes that grow; false: it needs a region of its own.
  [[gnu::always_inline]] inline bool extend_neighbour(const MapRequest& wanted, DeadRegions& dead) REQUIRES(lock_);
  void insert_region(Region& region, DeadRegions& dead) REQUIRES(lock_);
  Result<void> unmap_locked(VirtAddr start, VirtAddr end, DeadRegions& dead) REQUIRES(lock_);
  // Cuts a region; returns the part from `at` on. kNOMEM.
  Result<Region*> cut(Region& region, VirtAddr at) REQUIRES(lock_);
  // Cuts regions so that `start` and `end` are borders. kNOMEM: only harmless cuts were made.
  Result<void> split_at(VirtAddr at) REQUIRES(lock_);
  Result<void> split_at_both(VirtAddr start, VirtAddr end) REQUIRES(lock_) {
    TRY(split_at(start));
    return split_at(end);
  }
  // Joins regions that are alike across the borders from the start of `region` to `end`.
  void merge_from(Region* region, VirtAddr end, DeadRegions& dead) REQUIRES(lock_);
  // Whether any table is in use in a range: if not, there is nothing in it.
  bool has_tables(VirtAddr start, VirtAddr end) const {
    const uint32_t last = (end - 1).directory_index();
    return next_table(start.directory_index(), last) <= last;
  }
  bool is_mapped(VirtAddr start, VirtAddr end) const REQUIRES_SHARED(lock_);
  RegionStatistics count_region(const Region& region) const REQUIRES_SHARED(lock_);
  // Tables whose entries of the range will change, but not all of them, become this space's own. kNOMEM.
  Result<void> own_tables_for_removal(VirtAddr start, VirtAddr end) REQUIRES(lock_);
  // Empties the entries of a range: hide, flush, drop.
  void clear_range(VirtAddr start, VirtAddr end) REQUIRES(lock_);
  void release_promise(uint32_t pages) REQUIRES(lock_) {
    promised_pages_ -= pages;
    commit_release(pages);
  }
  // As clear_range, for who has the space for reading: a directory entry stays. All CPUs are flushed.
  void drop_pages(VirtAddr start, VirtAddr end) REQUIRES_SHARED(lock_);
  void lower_range(VirtAddr start, VirtAddr end, Protection protection) REQUIRES(lock_);
  Result<void> own_tables_with_entries(VirtAddr start, VirtAddr end) REQUIRES(lock_) {
    const Pte first = directory_entry(start);
    const bool is_one = start.directory_index() == (end - 1).directory_index();
    if (is_one && (first.is_writable() || !first.is_present())) [[likely]]
      return {};
    return own_all_tables_with_entries(start, end);
  }
  Result<void> own_all_tables_with_entries(VirtAddr start, VirtAddr end) REQUIRES(lock_);
  Result<void> prepare_move(VirtAddr from, VirtAddr to, uint32_t bytes) REQUIRES(lock_);
  void move_entries(VirtAddr from, VirtAddr to, uint32_t bytes) REQUIRES(lock_);
  void move_entry(VirtAddr from, VirtAddr to) REQUIRES(lock_);
  // One that is not in the list of all spaces yet: nobody else can find it.
  static Result<Ref<AddressSpace>> create_unknown();
  Result<void> copy_tables_from(AddressSpace& parent, VirtAddr hot) REQUIRES(parent.lock_);
  // Sets something in all regions of a range, cut at its borders; joins what is alike afterwards. kNOMEM: nothing was changed.
  template <typename Change>
  Result<void> change_regions(VirtAddr start, VirtAddr end, DeadRegions& dead, Change change) REQUIRES(lock_);
  void mark_locked_entries(VirtAddr start, VirtAddr end) REQUIRES(lock_);
  Result<void> drop_advised(VirtAddr start, VirtAddr end, uint32_t advice);
  Result<void> remove_pages(VirtAddr start, VirtAddr end);
  Result<void> read_ahead(VirtAddr start, VirtAddr end);
  struct Move;
  Result<VirtAddr> resize_or_move(const Move& move, Region& region, Owned<Region>& moved, DeadRegions& dead) REQUIRES(lock_);
  Result<VirtAddr> move_region(const Move& move, CommitPromise& promise, Owned<Region>& moved, DeadRegions& dead) REQUIRES(lock_);
  VirtAddr move_break(VirtAddr wanted, uint64_t data_limit, Owned<Region>& spare, DeadRegions& dead) REQUIRES(lock_);
  Result<void> apply_inheritance();
  uint32_t inherited_promise() const REQUIRES(lock_);
  void take_promise(CommitPromise& promise) NO_THREAD_SAFETY_ANALYSIS { promised_pages_ = promise.keep(); }  // of a child nobody knows yet
  FaultOutcome grow_stack(VirtAddr page);
  bool may_grow_stack(const Region& stack, VirtAddr page) const REQUIRES_SHARED(lock_);
  // A fault that no instruction took: the kernel brings a page beforehand, or into another space than the running one.
  FaultOutcome fault_ahead(VirtAddr address, Access access);
  // Touches every page of a range as its region allows, or as told; with kAll, goes on with the next region after a failure.
  enum class Populate : uint8_t { kAll, kUntilFailure, kRead, kWrite };
  FaultOutcome populate(VirtAddr start, VirtAddr end, Populate how);
  // Whether so many more pages may be mapped: kNOMEM (address space, data), kAGAIN (locked memory).
  Result<void> check_limits(uint32_t more, bool is_data, bool is_locked) const REQUIRES_SHARED(lock_);
  // Most processes have no limit that would need counting.
  [[gnu::always_inline]] inline bool has_limits_for(uint32_t more, const Mapping& mapping) const REQUIRES_SHARED(lock_);
  Result<void> check_limits(const MapRequest& request, uint32_t pages) const REQUIRES_SHARED(lock_);
  Result<void> check_data_limit(uint32_t more) const REQUIRES_SHARED(lock_);
  Result<void> check_locked_limit(uint32_t more) const REQUIRES_SHARED(lock_);
  // Pages of a range in regions for which choose(region) holds.
  template <typename Choose>
  uint32_t count_pages(VirtAddr start, VirtAddr end, Choose choose) const REQUIRES_SHARED(lock_) {
    uint32_t pages = 0;
    for (Region* region = regions_.first_after(start); region && region->start < end; region = RegionSet::next(*region)) {
      if (choose(*region)) pages += pages_within(*region, start, end);
    }
    return pages;
  }
  static uint32_t pages_within(const Region& region, VirtAddr start, VirtAddr end) {
    VirtAddr from = region.start > start ? region.start : start, to = region.end < end ? region.end : end;
    return (to - from) >> kPageShift;
  }
  template <typename Copy>
  Result<size_t> access_foreign(VirtAddr address, size_t bytes, Access access, Copy copy);
  static void leave(void* space);
  void count_resident(int32_t pages) {
    uint32_t now = resident_.fetch_add(static_cast<uint32_t>(pages), memory_order_relaxed) + static_cast<uint32_t>(pages);
    if (static_cast<int32_t>(now) > static_cast<int32_t>(peak_resident_.load(memory_order_relaxed))) {
      if (losses_seen_.load(memory_order_relaxed) == entries_lost.load(memory_order_relaxed)) [[likely]]
        peak_resident_.store(now, memory_order_relaxed);
      else if (now = recount_resident(); now > peak_resident_.load(memory_order_relaxed))
        peak_resident_.store(now, memory_order_relaxed);
    }
  }
  // Exactly, from the tables.
  uint32_t recount_resident();

  RwLock<LockRank::kSpace> lock_;
  RegionSet regions_ GUARDED_BY(lock_);
  const FrameNumber directory_;
  Atomic<CpuMask> cpus_{0};  // whose CR3 is, or was last, this directory: they may hold its translations
  // Directory entries in use, by bit: set by faults (hence atomic), cleared under the lock for writing.
  Atomic<uint32_t> tables_[kKernelDirectoryIndex / 32] = {};
  uint32_t mapped_pages_ GUARDED_BY(lock_) = 0;
  uint32_t promised_pages_ GUARDED_BY(lock_) = 0;             // of regions that are `promised`: this space's part of commit_promised
  LockMode future_lock_ GUARDED_BY(lock_) = LockMode::kNone;  // of regions to come
  bool has_exceptions_ GUARDED_BY(lock_) = false;             // some region is, or was, not for fork to copy as it is
  // Entries made less entries removed. Who removes entries without knowing the space counts in entries_lost instead: then this is too
  // high, and counted again before it may become a peak.
  Atomic<uint32_t> resident_{0}, losses_seen_{0};
  Atomic<uint32_t> peak_resident_{0};
  VirtAddr break_start_ GUARDED_BY(lock_), break_ GUARDED_BY(lock_);
  uint32_t stack_limit_ = 8u << 20, space_limit_ = kKernelBase;  // bytes
  VirtAddr mapping_ceiling_ = ceiling_below_stack(8u << 20);
  Atomic<bool> reading_executes_{false};
};

// The page of zeroes that every untouched anonymous page shows, read-only and uncounted.
extern FrameNumber zero_frame;
inline FrameNumber zero_page() { return zero_frame; }

// What the current process may have, in bytes (setrlimit); all bits set: without bounds, as locked memory is for the superuser. kernel/
// implements them.
uint64_t current_data_limit();
uint64_t current_locked_limit();
// Whether its promises of memory may reach into what overcommit mode 2 reserves for the superuser.
bool current_may_use_the_reserve();

// Upward notifications that kernel/ implements: one fault of the current thread was served from memory / had to wait for the disk.
void fault_count_minor();
void fault_count_major();
// Whether somebody watches the current thread's faults, and one that it took by fault_ahead().
bool fault_is_watched();
void fault_seen_ahead(AddressSpace& space, VirtAddr address, Access access, const FaultStory& story);

// Sets up the zero page and caches. Boot only, after frames and slab.
void spaces_initialize(Policy replacement = Policy::kTwoQueues);
// Gives back the directories that are kept for new spaces.
void directories_drain();

}  // namespace faultline
