// mlock and its kin: regions whose pages are brought in and stay.
#include "mm/space.h"
#include "mm/space_change.h"

namespace faultline {

// Entries say what their regions say, so that the reclaimer, which comes from the frame, sees it. The tables are this space's own.
void AddressSpace::mark_locked_entries(VirtAddr start, VirtAddr end) {
  for (Region* region = regions_.first_after(start); region && region->start < end; region = RegionSet::next(*region)) {
    const bool is_locked = region->is_locked();
    const VirtAddr from = region->start > start ? region->start : start, to = region->end < end ? region->end : end;
    for_each_table_within(from, to, [&](uint32_t index, uint32_t first, uint32_t last) {
      FrameNumber table = pte_load(directory_slot(index)).frame();
      TableLock lock(frame_record(table));
      table_for_each(table, first, last, [is_locked](uint32_t, PteSlot& slot, Pte pte) {
        if (!pte_has_frame(pte) || pte_is_locked(pte) == is_locked) return;
        is_locked ? slot.fetch_or(kPteLocked, memory_order_seq_cst) : slot.fetch_and(~kPteLocked, memory_order_seq_cst);
      });
    });
  }
}

Result<void> AddressSpace::lock_pages(VirtAddr start, uint32_t bytes, LockMode mode) {
  uint64_t stop = align_up<uint64_t>(uint64_t{start.value()} + bytes, kPageSize);
  if (mode != LockMode::kNone && current_locked_limit() == 0) return Errno::kPERM;
  start = start.page_floor();
  if (stop == start.value()) return {};
  if (stop > kKernelBase) return stop > ~0u ? Errno::kINVAL : Errno::kNOMEM;
  VirtAddr end(static_cast<uint32_t>(stop));
  {
    DeadRegions dead;
    LockGuard guard(lock_);
    if (!is_mapped(start, end)) return Errno::kNOMEM;
    uint32_t fresh = count_pages(start, end, [](const Region& region) { return !region.is_locked(); });
    if (mode != LockMode::kNone && !check_locked_limit(fresh).ok()) return Errno::kNOMEM;
    TRY(own_tables_with_entries(start, end));
    TRY(change_regions(start, end, dead, [mode](Region& region) { region.lock_mode = mode; }));
    mark_locked_entries(start, end);
    if (mode != LockMode::kNone) has_exceptions_ = true;
  }
  if (mode != LockMode::kLocked) return {};
  FaultOutcome outcome = populate(start, end, Populate::kUntilFailure);
  if (outcome == FaultOutcome::kOutOfMemory) return Errno::kAGAIN;
  return outcome == FaultOutcome::kResolved ? Result<void>() : Errno::kNOMEM;
}

Result<void> AddressSpace::lock_all(std::optional<LockMode> now, LockMode future) {
  bool is_locking = future != LockMode::kNone || (now && *now != LockMode::kNone);
  uint64_t limit = current_locked_limit();
  if (is_locking && limit == 0) return Errno::kPERM;
  {
    DeadRegions dead;
    LockGuard guard(lock_);
    if (now && *now != LockMode::kNone && mapped_pages_ > limit >> kPageShift) return Errno::kNOMEM;
    future_lock_ = future;
    if (is_locking) has_exceptions_ = true;
    if (now) {
      TRY(own_tables_with_entries(VirtAddr(0), VirtAddr(kKernelBase)));
      TRY(change_regions(VirtAddr(0), VirtAddr(kKernelBase), dead, [now](Region& region) { region.lock_mode = *now; }));
      mark_locked_entries(VirtAddr(0), VirtAddr(kKernelBase));
    }
  }
  if (now == LockMode::kLocked) populate(VirtAddr(0), VirtAddr(kKernelBase), Populate::kAll);
  return {};
}

}  // namespace faultline
