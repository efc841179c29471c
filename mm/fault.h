// One fault on its way down the staircase: fault.cpp has the cases above its code. Private to the files of the fault.
#pragma once

#include <machine/planted_bugs.h>

#include "mm/space.h"
#include "mm/swap_slots.h"

namespace faultline {

using machine::Bug;
using machine::planted;

class Fault {
 public:
  Fault(AddressSpace& space, VirtAddr page, Access access) : space_(space), page_(page), access_(access) {}

  enum class Step : uint8_t {
    kDone,
    kAgain,
    kNotMapped,
    kNotAllowed,
    kBusError,
    // With nothing held, do this and start again:
    kGrowStack,
    kRead,
    kSwapIn,
    kWait,
    kPrepare,
    kMakeRoom,
  };
  // One attempt from the top.
  Step attempt();
  [[gnu::always_inline]] inline Step attempt_here();  // the same, inline
  // After an attempt that did not do: does what it asked for, and tries again until the fault is decided.
  FaultOutcome continue_from(Step step);
  FaultNotes story;

 private:
  Step read_page();
  Step swap_in();
  Step prepare_write();

  // The way of the most frequent faults is one function in the end: its parts are inline.
  [[gnu::always_inline]] inline Step resolve() REQUIRES_SHARED(space_.lock_);
  [[gnu::always_inline]] inline Step resolve_in_table(FrameNumber table, Frame& record);
  [[gnu::always_inline]] inline Step resolve_empty();
  [[gnu::always_inline]] inline Step install(FrameNumber frame, Pte pte);
  [[gnu::always_inline]] inline Step resolve_read_only(Pte old);
  Step resolve_swapped(Pte old);
  bool leave_slot(Frame& frame);
  [[gnu::always_inline]] inline Step map_zeroed();
  Step map_zero_page();
  Step map_object_page();
  Step write_shared(Pte old, Frame& frame);
  Step copy_from(Pte old, FaultDecision decision);
  Step copy_from_object(Pte old);
  Step find_object_frame(Frame*& frame);
  uint32_t map_neighbours();
  [[gnu::always_inline]] inline uint32_t map_resident(const uintptr_t* resident, uint32_t first, uint32_t count);
  bool may_be_dirtied(const Frame& frame) const;
  bool is_write() const { return access_ == Access::kWrite; }
  bool is_private_anonymous() const { return object_ == nullptr; }
  Pte marked(Pte pte) const { return region_->is_locked() ? pte.with(kPteLocked) : pte; }
  Step ask(Step for_what) {
    wanted_ = Ref<Object>(region_->object).leak();
    reading_order_ = region_->reading_order;
    return for_what;
  }
  Step decided(FaultDecision decision) {
    story.decision = decision;
    return Step::kDone;
  }
  PteSlot& slot() const { return *slot_; }
  Frame& table_record() const { return *table_record_; }
  Locator place() const { return Locator(table_, index_); }

  AddressSpace& space_;
  const VirtAddr page_;
  const Access access_;
  Region* region_;
  Object* object_;
  PageIndex object_index_;
  FrameNumber table_;
  Frame* table_record_;
  uint32_t index_;  // in the table
  PteSlot* slot_;
  // For what an attempt asks for; set by who asks:
  Object* wanted_;  // with a reference, which who answers takes over
  ReadingOrder reading_order_;
  const Frame* busy_;
  SwapSlot wanted_slot_;
};

// A new frame that nobody else knows becomes the entry.
inline Fault::Step Fault::install(FrameNumber frame, Pte pte) {
  Frame& record = frame_record(frame);
  reverse_map_add_first(record, place());
  slot_fill(table_record(), slot(), index_, marked(pte), FrameKind::kCounted);
  space_.count_resident(1);
  if (swap_is_on()) [[unlikely]]
    reclaim_enqueue(record);
  return Step::kDone;
}

}  // namespace faultline
