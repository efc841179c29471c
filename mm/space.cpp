// Address spaces: birth, fork, the CPUs they run on, end. Mapping is in space_map.cpp, faults in fault.cpp.
#include "mm/space.h"

#include <machine/planted_bugs.h>

#include "arch/interrupt.h"
#include "lib/late.h"
#include "mm/object_anonymous.h"
#include "mm/reclaim.h"
#include "mm/space_list.h"

namespace faultline {

using machine::Bug;
using machine::planted;

constinit FrameNumber zero_frame;

namespace {

constinit Late<SpaceList> spaces;
// The space whose directory this CPU has loaded, null for the kernel's own. Written by that CPU with interrupts off.
constinit AddressSpace* active[kMaxCpus] = {};

// A few directories of ended spaces, as a new one wants them: the kernel's half in place, the user half zero.
struct DirectoryPool {
  static constexpr uint32_t kSize = 4;
  SpinLock<LockRank::kLeaf> lock;
  uint32_t count GUARDED_BY(lock) = 0;
  FrameNumber directories[kSize] GUARDED_BY(lock);

  // none() if there is none.
  FrameNumber take() {
    LockGuard guard(lock);
    return count > 0 ? directories[--count] : FrameNumber::none();
  }
};
constinit DirectoryPool pool;

Result<FrameNumber> allocate_directory() {
  if (machine::allocation_fails()) return Errno::kNOMEM;
  if (FrameNumber spare = pool.take(); !spare.is_none()) return spare;
  FrameNumber directory = TRY(frame_allocate(FrameUse::kPageDirectory, Zeroing::kZeroed));
  mmu_initialize_directory(directory);
  return directory;
}

void free_directory(FrameNumber directory) {
  {
    LockGuard guard(pool.lock);
    if (pool.count < DirectoryPool::kSize) {
      pool.directories[pool.count++] = directory;
      return;
    }
  }
  frame_free(directory);
}

}  // namespace

void directories_drain() {
  for (;;) {
    FrameNumber directory = pool.take();
    if (directory.is_none()) return;
    frame_free(directory);
  }
}

SpaceList& space_list() { return *spaces; }

void spaces_initialize(Policy replacement) {
  auto frame = frame_allocate(FrameUse::kKernel, Zeroing::kZeroed);
  if (!frame.ok()) PANIC("no memory for the zero page");
  zero_frame = frame.value();
  frame_pin(frame_record(zero_frame));  // for ever
  for (AddressSpace*& space : active) space = nullptr;
  {
    LockGuard guard(pool.lock);
    pool.count = 0;
  }
  spaces.construct();
  commit_initialize();
  frame_wait_initialize();
  reclaim_initialize(replacement);
  objects_initialize();
  anonymous_objects_initialize();
}

Result<Ref<AddressSpace>> AddressSpace::create() {
  Ref<AddressSpace> space = TRY(create_unknown());
  spaces->add(*space);
  return space;
}

Result<Ref<AddressSpace>> AddressSpace::create_unknown() {
  FrameNumber directory = TRY(allocate_directory());
  auto space = slab_new<AddressSpace>(directory);
  if (!space.ok()) {
    free_directory(directory);
    return space.error();
  }
  return Ref<AddressSpace>::adopt(space.value());
}

Result<Ref<AddressSpace>> AddressSpace::fork(VirtAddr hot) {
  Ref<AddressSpace> child = TRY(create_unknown());
  LockGuard guard(lock_);
  CommitPromise promise;
  const uint32_t inherited = inherited_promise();
  const bool is_promised = inherited <= commit_unasked.load(memory_order_relaxed);
  if (is_promised) TRY(promise.take(inherited, mapped_pages_));
  // Else region by region, as Linux asks: what is possible of each is possible of many.
  for (Region* region = regions_.first(); region && !is_promised; region = RegionSet::next(*region))
    if (region->promised && region->inheritance != Inheritance::kLeftOut) TRY(promise.take(region->pages(), mapped_pages_));
  TRY(child->copy_tables_from(*this, hot));  // if it fails, the child's end gives back what it got
  child->take_promise(promise);
  if (has_exceptions_) TRY(child->apply_inheritance());
  // Known from here on, as a whole, and before anybody who waits for this lock to truncate a file asks for the next space.
  spaces->add(*child);
  return child;
}

// What fork promises the child: all but what is left out.
uint32_t AddressSpace::inherited_promise() const {
  if (!has_exceptions_) return promised_pages_;
  return count_pages(VirtAddr(0), VirtAddr(kKernelBase),
                     [](const Region& region) { return region.promised && region.inheritance != Inheritance::kLeftOut; });
}

// What a child does not get: locks, and what madvise said is not for it. It runs nowhere yet, and nobody else knows it.
Result<void> AddressSpace::apply_inheritance() NO_THREAD_SAFETY_ANALYSIS {
  DeadRegions dead;
  for (Region *region = regions_.first(), *next; region; region = next) {
    next = RegionSet::next(*region);
    if (region->is_locked()) {
      TRY(own_tables_with_entries(region->start, region->end));
      region->lock_mode = LockMode::kNone;
      mark_locked_entries(region->start, region->end);
    }
    if (region->inheritance == Inheritance::kCopied) continue;
    has_exceptions_ = true;
    if (region->inheritance == Inheritance::kLeftOut) {
      region->promised = false;  // nobody promised it
      TRY(unmap_locked(region->start, region->end, dead));
    } else {
      TRY(own_tables_for_removal(region->start, region->end));
      clear_range(region->start, region->end);
    }
  }
  merge_from(regions_.first(), VirtAddr(kKernelBase), dead);
  return {};
}

Result<void> AddressSpace::copy_tables_from(AddressSpace& parent, VirtAddr hot) NO_THREAD_SAFETY_ANALYSIS {
  // The child is nobody else's yet: its lock is not needed. The parent's TLBs are flushed before its lock is let go.
  TRY(regions_.copy(parent.regions_));
  mapped_pages_ = parent.mapped_pages_;
  break_start_ = parent.break_start_;
  break_ = parent.break_;
  stack_limit_ = parent.stack_limit_;
  mapping_ceiling_ = parent.mapping_ceiling_;
  space_limit_ = parent.space_limit_;
  reading_executes_.store(parent.reading_executes_.load(memory_order_relaxed), memory_order_relaxed);
  FlushBatch batch(parent.cpus_);
  Result<void> result;
  parent.for_each_table(0, kKernelDirectoryIndex - 1, [&](uint32_t index) {
    if (!result.ok()) return;
    // The table under the stack pointer is written the moment both return: sharing it would only cost a fault.
    if (hot.is_user() && index == hot.directory_index())
      result = table_copy(parent.directory_slot(index), directory_slot(index), batch);
    else
      table_share(parent.directory_slot(index), directory_slot(index), batch);
    if (result.ok()) tables_[index / 32].fetch_or(1u << index % 32, memory_order_relaxed);
  });
  losses_seen_.store(entries_lost.load(memory_order_relaxed) - 1, memory_order_relaxed);
  count_resident(1);  // whatever it is, it is counted
  return result;
}

void AddressSpace::activate() {
  const uint32_t cpu = this_cpu();
  AddressSpace* before = active[cpu];
  if (before == this) return;
  active[cpu] = this;
  // In the mask before the first translation can be cached, out of it after the last is gone.
  const CpuMask here = cpu_bit(cpu);
  cpus_.fetch_or(here, memory_order_seq_cst);
  mmu_activate(directory_);
  if (before) before->cpus_.fetch_and(~here, memory_order_seq_cst);
}

// The directory stays loaded: the thread that comes next often has it too, and kernel threads need none.
void AddressSpace::deactivate() {
  if (planted(Bug::kLazyCpuLeavesMask) && active[this_cpu()])
    active[this_cpu()]->cpus_.fetch_and(~cpu_bit(this_cpu()), memory_order_seq_cst);
}

// Runs on each CPU that may have the directory loaded.
void AddressSpace::leave(void* space) {
  uint32_t cpu = this_cpu();
  if (active[cpu] != space) return;
  mmu_activate(mmu_kernel_directory());
  active[cpu] = nullptr;
  static_cast<AddressSpace*>(space)->cpus_.fetch_and(~cpu_bit(cpu), memory_order_seq_cst);
}

void AddressSpace::destroy(AddressSpace* space) NO_THREAD_SAFETY_ANALYSIS {
  // Nobody has a reference: no lock is needed. Without CR3 anywhere there is nothing to flush.
  {
    PreemptionGuard stays;  // "here" and "the others" must be said of the same CPU
    {
      InterruptGuard guard;
      leave(space);
    }
    if (space->cpus_.load(memory_order_seq_cst) != 0) cpu_call_others(&leave, space);
  }
  space->for_each_table(0, kKernelDirectoryIndex - 1, [&](uint32_t index) {
    PteSlot& slot = space->directory_slot(index);
    FrameNumber table = pte_load(slot).frame();
    pte_store(slot, Pte());
    table_drop(table);
  });
  space->regions_.clear();
  commit_release(space->promised_pages_);
  spaces->remove(*space);
  free_directory(space->directory_);
  slab_delete(space);
}

Result<FrameNumber> AddressSpace::own_table(uint32_t index) {
  PteSlot& slot = directory_slot(index);
  for (;;) {
    Pte entry = pte_load(slot);
    if (entry.is_writable()) return entry.frame();
    if (entry.is_present()) {
      TRY(table_make_sole(slot, cpus_));
      // The copy may have left out what the page cache has.
      losses_seen_.store(entries_lost.load(memory_order_relaxed) - 1, memory_order_relaxed);
      continue;
    }
    FrameNumber table = TRY(table_create(index));
    if (pte_compare_exchange(slot, entry, pde_sole(table))) {
      tables_[index / 32].fetch_or(1u << index % 32, memory_order_relaxed);
      return table;
    }
    table_drop(table);  // another thread of this space was faster
  }
}

VirtAddr AddressSpace::ceiling_below_stack(uint32_t stack_bytes) {
  constexpr uint32_t kLeast = 16u << 20, kMost = 1u << 30;
  uint32_t room = stack_bytes < kLeast ? kLeast : stack_bytes > kMost ? kMost : align_up(stack_bytes, kPageSize);
  return VirtAddr(kKernelBase - room - (1u << 20));
}

void AddressSpace::set_limits(uint64_t stack_bytes, uint64_t address_space_bytes) {
  LockGuard guard(lock_);
  stack_limit_ = stack_bytes < kKernelBase ? static_cast<uint32_t>(stack_bytes) : kKernelBase;
  mapping_ceiling_ = ceiling_below_stack(stack_limit_);
  space_limit_ = address_space_bytes < kKernelBase ? static_cast<uint32_t>(address_space_bytes) : kKernelBase;
}

}  // namespace faultline
