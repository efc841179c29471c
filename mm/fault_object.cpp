// The fault on a page of an object: what the page cache has is mapped, with its neighbours, or copied; what it lacks, the attempt asks for.
#include "mm/fault.h"

namespace faultline {

Fault::Step Fault::copy_from_object(Pte old) NO_THREAD_SAFETY_ANALYSIS {
    object_->is_copied_ = true;
    return copy_from(old, old.frame());
}

// The object's frame for this page. Anything but kDone: there is none yet.
Fault::Step Fault::find_object_frame(Frame*& frame) NO_THREAD_SAFETY_ANALYSIS {
    // (Of a file, a page past the end would never come, and the planted bug would only try for ever.)
    bool is_unchecked = planted(Bug::kNoEndOfFileCheck) && !object_->source_;
    if (object_->is_past_end_locked(object_index_) && !is_unchecked) return Step::kBusError;
    Object::Place place;
    const Object::Presence presence = object_->look_locked(object_index_, place);
    frame = place.frame;
    if (presence == Object::Presence::kSwapped) {
        wanted_slot_ = place.slot;
        return Step::kSwapIn;
    }
    if (presence == Object::Presence::kAbsent && !object_->source_) {
        auto made = object_->insert_new_locked(object_index_, Zeroing::kZeroed, 0);
        if (!made.ok()) return made.error() == Errno::kNOSPC ? Step::kBusError : Step::kMakeRoom;
        story.steps |= kFaultNewShared;
        frame = made.value();
    }
    if (!frame) {
        wanted_ = region_->object;
        reading_order_ = region_->reading_order;
        return Step::kRead;
    }
    if (presence == Object::Presence::kBusy) {
        busy_ = frame;
        return Step::kWait;
    }
    return Step::kDone;
}

Fault::Step Fault::map_object_page() NO_THREAD_SAFETY_ANALYSIS {
    Frame* frame = nullptr;
    if (Step step = find_object_frame(frame); step != Step::kDone) return step;
    FrameNumber number = frame_number(*frame);
    if (is_write() && !region_->shared) {
        auto copy = frame_allocate(FrameUse::kAnonymous, Zeroing::kNotNeeded);
        if (!copy.ok()) return Step::kMakeRoom;
        page_copy(copy.value(), number);
        object_->is_copied_ = true;
        story.decision = FaultDecision::kFileCopied;
        return install(copy.value(), pte_writable(copy.value()));
    }
    if (!add_mapper(*frame, Locator(table_, index_))) return Step::kMakeRoom;
    Pte pte = marked(region_->shared ? pte_readable(number).with(kPteShared) : pte_readable(number));
    slot_fill(frame_record(table_), slot(), index_, pte, FrameKind::kCounted);
    space_.count_resident(1);
    bool is_writable_anyway = may_be_dirtied(*frame);
    if (is_write())
        if (Step step = write_shared(pte, *frame); step != Step::kDone || !is_writable_anyway) return step;
    map_neighbours();
    return is_write() ? Step::kDone : decided(FaultDecision::kFileMapped);
}

// One mapping more of an object's page; false without memory.
inline bool Fault::add_mapper(Frame& frame, Locator place) {
    if (frame.map.load(memory_order_acquire) == 0) {
        reverse_map_add_first(frame, place);
        return true;
    }
    NestedFrameLock lock(frame);  // the table's lock is held
    if (frame.map.load(memory_order_relaxed) != 0) return reverse_map_add(frame, place).ok();
    reverse_map_add_first(frame, place);
    return true;
}

// Whether a writable mapping more changes nothing for the page: it is tagged and has its room, or needs neither.
inline bool Fault::may_be_dirtied(const Frame& frame) const NO_THREAD_SAFETY_ANALYSIS {
    constexpr uint8_t kBoth = kFrameTagged | kFramePrepared;
    return !object_->source_ || (frame.flags.load(memory_order_relaxed) & kBoth) == kBoth;
}

// A shared entry becomes writable. The page counts as perhaps dirty from now until a write-back finds no such entry.
Fault::Step Fault::write_shared(Pte, Frame& frame) NO_THREAD_SAFETY_ANALYSIS {
    if (object_->source_ && (!frame.is(kFramePrepared) || !object_->is_write_noted_)) {
        wanted_ = region_->object;
        return Step::kPrepare;
    }
    object_->tag_locked(frame, 0);
    slot().fetch_or(Pte::kWritable | Pte::kDirty | Pte::kAccessed, memory_order_seq_cst);
    return decided(FaultDecision::kSharedWritten);
}

// Fault-around: a read maps what is resident of the aligned 16 pages, so that a sequential reader faults once in 16; a write, what is
// resident and may be dirtied at no cost. Never past the region, the table or the end of the object. Failing to is no error.
void Fault::map_neighbours() NO_THREAD_SAFETY_ANALYSIS {
    constexpr uint32_t kWindow = 16;
    uint32_t from = index_ & ~(kWindow - 1), to = from + kWindow;
    uint32_t below = (page_ - region_->start) >> kPageShift, above = (region_->end - page_) >> kPageShift;
    if (index_ - from > below) from = index_ - below;
    if (to - index_ > above) to = index_ + above;
    // The index's leaf has the page's neighbours side by side; those in another leaf are left out.
    constexpr uint32_t kLeaf = decltype(object_->pages_)::kLeafValues;
    uint32_t within = object_index_.value() & (kLeaf - 1), after = pages_for(object_->size_) - object_index_.value();
    if (after > kLeaf - within) after = kLeaf - within;
    if (index_ - from > within) from = index_ - within;
    if (to - index_ > after) to = index_ + after;
    const uintptr_t* resident = object_->pages_.leaf(object_index_.value()) + within - (index_ - from);
    PteSlot* slot = table_slots(table_).data() + from;
    const uint32_t bits = Pte::kPresent | Pte::kUser | (region_->shared ? kPteShared : 0) | (region_->is_locked() ? kPteLocked : 0) | (is_write() ? Pte::kWritable : 0);
    Locator place(table_, from);
    uint32_t mapped = 0;
    for (PteSlot* end = slot + (to - from); slot != end; slot++, resident++, place = Locator(place.raw() + 1)) {
        if (*resident == 0 || Object::is_swap_mark(static_cast<uint32_t>(*resident)) || !pte_load(*slot).is_empty()) continue;
        FrameNumber number(static_cast<uint32_t>(*resident) - 1);
        Frame& frame = frame_record(number);
        if (frame.is(kFrameBusy) || (is_write() && !may_be_dirtied(frame))) continue;
        if (!add_mapper(frame, place)) break;
        pte_store(*slot, Pte(number, bits));
        mapped++;
    }
    story.neighbours = static_cast<uint8_t>(mapped);
    table_count_filled(frame_record(table_), index_, mapped);  // the window lies within one group
    space_.count_resident(static_cast<int32_t>(mapped));
}
// What an attempt asked for, with nothing held.
Fault::Step Fault::read_page() {
    Ref<Object> object = std::move(wanted_);
    uint32_t window = reading_order_ == ReadingOrder::kRandom       ? 1
                      : reading_order_ == ReadingOrder::kSequential ? kMaxCluster
                                                                    : object->window_for(object_index_);
    auto result = object->fill(object_index_, window);
    if (!result.ok()) return result.error() == Errno::kNOMEM ? Step::kMakeRoom : Step::kBusError;
    return Step::kAgain;
}

Fault::Step Fault::prepare_write() {
    Ref<Object> object = std::move(wanted_);
    auto result = object->prepare(object_index_);
    if (!result.ok()) return result.error() == Errno::kNOMEM ? Step::kMakeRoom : Step::kBusError;
    return Step::kAgain;
}

}  // namespace faultline
