// How pages come into an object: read from its source by clusters, zeroed, or pinned where they are. I/O is done with nothing
// held; the frames are busy meanwhile, and who wants one waits and looks again.
#include "lib/string.h"
#include "mm/object.h"
#include "mm/reclaim.h"
#include "mm/swap_cache.h"

namespace faultline {

uint32_t Object::window_for(PageIndex index) {
    LockGuard guard(lock_);
    constexpr uint32_t kFirstWindow = 4;
    bool follows = index.value() == next_miss_ && next_miss_ != 0;
    window_ = !follows ? kFirstWindow : window_ * 2 < kMaxCluster ? window_ * 2 : kMaxCluster;
    if (index.value() == 0) window_ = kFirstWindow * 2;  // from the start: likely all of it
    next_miss_ = index.value() + window_;
    return window_;
}

Result<void> Object::fill(PageIndex first, uint32_t pages) {
    FrameNumber frames[kMaxCluster];
    uint32_t count = 0;
    if (pages > kMaxCluster) pages = kMaxCluster;
    Result<void> result;
    {
        LockGuard guard(lock_);
        while (count < pages && !is_past_end_locked(first + count) && !lookup_locked(first + count)) {
            auto frame = insert_new_locked(first + count, Zeroing::kNotNeeded, kFrameBusy, count == 0 ? Demand::kWanted : Demand::kReadAhead);
            if (!frame.ok()) {
                result = frame.error();
                break;
            }
            frame_pin(*frame.value());
            frames[count++] = frame_number(*frame.value());
        }
    }
    if (count == 0) return result;  // somebody else was faster, or memory is out
    result = source_->read_pages(first, std::span<const FrameNumber>(frames, count));
    // A bad page must not fail the good ones that were to be read with it: then each is read for itself.
    const bool by_page = !result.ok() && count > 1;
    Result<void> of_first = result;
    for (uint32_t i = 0; i < count; i++) {
        Frame& frame = frame_record(frames[i]);
        if (by_page) result = source_->read_pages(first + i, std::span<const FrameNumber>(frames + i, 1));
        if (i == 0) of_first = result;
        if (!result.ok()) {
            LockGuard guard(lock_);
            remove_locked(frame);
        }
        frame_wake(frame, kFrameBusy);
        frame_unpin(frame);
    }
    return of_first;
}

void Object::read_ahead(PageIndex first, uint32_t pages) {
    if (!source_) return;
    for (; pages > 0 && first.byte() < size(); first = first + 1, pages--)
        if (!is_resident(first) && !fill(first, pages).ok()) return;
}

Object::Presence Object::look_locked(PageIndex index, Place& place) {
    uint32_t value = pages_.get(index.value());
    if (value == 0) return Presence::kAbsent;
    if (is_swap_mark(value)) return fetch_locked(index, place);
    place.frame = &frame_record(FrameNumber(value - 1));
    return place.frame->is(kFrameBusy) ? Presence::kBusy : Presence::kResident;
}

Result<PinnedFrame> Object::pin_page(PageIndex index, Missing missing) {
    for (;;) {
        Place place;
        Presence presence;
        {
            LockGuard guard(lock_);
            presence = look_locked(index, place);
            if (presence == Presence::kAbsent && (missing == Missing::kZero || !source_)) {
                place.frame = TRY(insert_new_locked(index, Zeroing::kZeroed, 0));
                presence = Presence::kResident;
            }
            if (presence == Presence::kResident) {
                frame_pin(*place.frame);
                place.frame->set(kFrameReferenced);
                return PinnedFrame(frame_number(*place.frame));
            }
            if (presence == Presence::kAbsent && is_past_end_locked(index)) return Errno::kINVAL;
        }
        switch (presence) {
        case Presence::kBusy: frame_wait(*place.frame, kFrameBusy | kFrameWriteBack); break;
        case Presence::kSwapped: TRY(swap_read(place.slot)); break;
        default: TRY(fill(index, window_for(index)));
        }
    }
}

Result<PinnedFrame> Object::page(PageIndex index) {
    if (index.byte() >= size()) return Errno::kINVAL;
    return pin_page(index, Missing::kRead);
}

Result<PinnedFrame> Object::page_for_overwrite(PageIndex index) {
    if (index.byte() >= size()) return Errno::kINVAL;
    return pin_page(index, Missing::kZero);
}

Result<void> Object::prepare(PageIndex index) {
    if (!source_) return {};
    TRY(source_->prepare_write(index, 1));
    source_->note_mapped_write();
    LockGuard guard(lock_);
    is_write_noted_ = true;
    if (Frame* frame = lookup_locked(index)) frame->set(kFramePrepared);
    return {};
}

void Object::mark_dirty(PageIndex index) {
    LockGuard guard(lock_);
    Frame* frame = lookup_locked(index);
    if (frame) tag_locked(*frame, kFrameDirty | kFramePrepared);  // else it was truncated meanwhile
}

}  // namespace faultline
