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
        kDone, kAgain, kNotMapped, kNotAllowed, kBusError,
        // With nothing held, do this and start again:
        kGrowStack, kRead, kSwapIn, kWait, kPrepare, kMakeRoom,
    };
    // One attempt from the top.
    Step attempt();
    FaultOutcome continue_from(Step step);
    FaultStory story;

  private:
    Step read_page();
    Step swap_in();
    Step prepare_write();

    // The way of the most frequent faults is one function in the end: its parts are inline.
    [[gnu::always_inline]] inline Step resolve() REQUIRES_SHARED(space_.lock_);
    [[gnu::always_inline]] inline Step resolve_in_table(FrameNumber table);
    [[gnu::always_inline]] inline Step resolve_empty();
    [[gnu::always_inline]] inline Step install(FrameNumber frame, Pte pte);
    Step resolve_read_only(Pte old);
    Step resolve_swapped(Pte old);
    bool leave_slot(Frame& frame);
    Step map_zeroed();
    Step map_zero_page();
    Step map_object_page();
    Step write_shared(Pte old, Frame& frame);
    Step copy_from(Pte old, FrameNumber source);
    Step copy_from_object(Pte old);
    Step find_object_frame(Frame*& frame);
    void map_neighbours();
    bool add_mapper(Frame& frame, Locator place);
    bool may_be_dirtied(const Frame& frame) const;
    bool is_write() const { return access_ == Access::kWrite; }
    bool is_private_anonymous() const { return object_ == nullptr; }
    Pte marked(Pte pte) const { return region_->is_locked() ? pte.with(kPteLocked) : pte; }
    Step decided(FaultDecision decision) {
        story.decision = decision;
        return Step::kDone;
    }
    PteSlot& slot() const { return table_slots(table_)[index_]; }

    AddressSpace& space_;
    const VirtAddr page_;
    const Access access_;
    Region* region_ = nullptr;
    Object* object_ = nullptr;
    PageIndex object_index_;
    FrameNumber table_;
    uint32_t index_ = 0;  // in the table
    // For what an attempt asks for:
    Ref<Object> wanted_;
    ReadingOrder reading_order_ = ReadingOrder::kNormal;
    const Frame* busy_ = nullptr;
    SwapSlot wanted_slot_;
};

// A new frame that nobody else knows becomes the entry.
inline Fault::Step Fault::install(FrameNumber frame, Pte pte) {
    reverse_map_add_first(frame_record(frame), Locator(table_, index_));
    slot_fill(frame_record(table_), slot(), index_, marked(pte), FrameKind::kCounted);
    space_.count_resident(1);
    if (swap_is_on()) [[unlikely]] reclaim_enqueue(frame_record(frame));
    return Step::kDone;
}

}  // namespace faultline
