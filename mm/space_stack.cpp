// The stack's growth: its region extends downwards by faults below it.
#include "mm/space.h"

namespace faultline {

bool AddressSpace::may_grow_stack(const Region& stack, VirtAddr page) const {
  constexpr uint32_t kGuard = kGuardPages * kPageSize;  // to the mapping below, unless that is a guard of the program's own
  if (!stack.grows_down || stack.end - page > stack_limit_) return false;
  const Region* below = RegionSet::previous(stack);
  bool is_clear = !below || below->protection == kProtNone || (page.value() >= kGuard && page - kGuard >= below->end);
  return is_clear && page.value() >= kGuard && check_limits((stack.start - page) >> kPageShift, false, stack.is_locked()).ok();
}

FaultOutcome AddressSpace::grow_stack(VirtAddr page) {
  LockGuard guard(lock_);
  Region* stack = regions_.first_after(page);
  if (!stack) return FaultOutcome::kNotMapped;
  if (page >= stack->start) return FaultOutcome::kResolved;  // another thread has grown it
  if (!may_grow_stack(*stack, page)) return FaultOutcome::kNotMapped;
  const uint32_t pages = (stack->start - page) >> kPageShift;
  CommitPromise promise;
  if (stack->promised && !promise.take(pages, mapped_pages_).ok()) return FaultOutcome::kNotMapped;
  promised_pages_ += promise.keep();
  mapped_pages_ += pages;
  regions_.move_start(*stack, page);
  return FaultOutcome::kResolved;
}

}  // namespace faultline
