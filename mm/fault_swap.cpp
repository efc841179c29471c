// The fault on a page in swap: what the swap cache has is mapped; the rest is read first.
#include "mm/fault.h"
#include "mm/swap_cache.h"

namespace faultline {

// With nothing held.
Fault::Step Fault::swap_in() {
  auto result = swap_read(wanted_slot_);
  if (result.ok()) return Step::kAgain;
  return result.error() == Errno::kNOMEM ? Step::kMakeRoom : Step::kBusError;
}

// Read-only, because others may name the page by its slot; a write goes on from there.
Fault::Step Fault::resolve_swapped(Pte old) {
  wanted_slot_ = pte_swap_slot(old);
  Frame* frame = swap_cache_lock(wanted_slot_);
  if (!frame) return Step::kSwapIn;
  busy_ = frame;
  Step step = Step::kWait;
  const Pte pte = marked(pte_readable(frame_number(*frame)));
  if (!frame->is(kFrameBusy)) {
    bool mapped = slot_swap_in(table_record(), slot(), index_, *frame, pte).ok();
    step = mapped ? decided(FaultDecision::kSwappedIn) : Step::kMakeRoom;
    if (mapped && swap_is_half_full()) swap_cache_leave(*frame);
  }
  frame_unlock(*frame);
  if (step == Step::kDone) space_.count_resident(1);
  return step;
}

// Whoever writes to a page has it alone: other entries must not find it by its slot, nor the device take half of what is written. False: it cannot be had.
bool Fault::leave_slot(Frame& frame) {
  if (planted(Bug::kSlotKeptByWriter)) return true;
  NestedFrameLock lock(frame);
  return !frame_has_slot(frame) || swap_cache_leave(frame);
}

}  // namespace faultline
