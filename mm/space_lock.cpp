// mlock and its kin: regions whose pages are brought in and stay.
#include "mm/space.h"
#include "mm/space_change.h"

namespace faultline {

Result<void> AddressSpace::lock_pages(VirtAddr start, uint32_t bytes, LockMode mode) {
  uint64_t stop = align_up<uint64_t>(uint64_t{start.value()} + bytes, kPageSize);
  if (mode != LockMode::kNone && current_memory_limits().locked == 0) return Errno::kPERM;
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
    TRY(change_regions(start, end, dead, [mode](Region& region) { region.lock_mode = mode; }));
    if (mode != LockMode::kNone) has_exceptions_ = true;
  }
  if (mode != LockMode::kLocked) return {};
  FaultOutcome outcome = populate(start, end, Populate::kUntilFailure);
  if (outcome == FaultOutcome::kOutOfMemory) return Errno::kAGAIN;
  return outcome == FaultOutcome::kResolved ? Result<void>() : Errno::kNOMEM;
}

Result<void> AddressSpace::lock_all(std::optional<LockMode> now, LockMode future) {
  bool is_locking = future != LockMode::kNone || (now && *now != LockMode::kNone);
  uint64_t limit = current_memory_limits().locked;
  if (is_locking && limit == 0) return Errno::kPERM;
  {
    DeadRegions dead;
    LockGuard guard(lock_);
    if (now && *now != LockMode::kNone && mapped_pages_ > limit >> kPageShift) return Errno::kNOMEM;
    future_lock_ = future;
    if (is_locking) has_exceptions_ = true;
    if (now) TRY(change_regions(VirtAddr(0), VirtAddr(kKernelBase), dead, [now](Region& region) { region.lock_mode = *now; }));
  }
  if (now == LockMode::kLocked) populate(VirtAddr(0), VirtAddr(kKernelBase), Populate::kAll);
  return {};
}

}  // namespace faultline
