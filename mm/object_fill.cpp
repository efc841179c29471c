// How pages come into an object: read from its source by clusters, zeroed, or pinned where they are. I/O is done with nothing
// held; the frames are busy meanwhile, and who wants one waits and looks again.
#include "lib/string.h"
#include "mm/object.h"
#include "mm/reclaim.h"

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
            auto frame = insert_new_locked(first + count, Zeroing::kNotNeeded, kFrameBusy);
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

Result<PinnedFrame> Object::pin_page(PageIndex index, Missing missing) {
    for (;;) {
        Frame* busy = nullptr;
        {
            LockGuard guard(lock_);
            Frame* frame = lookup_locked(index);
            if (!frame && (missing == Missing::kZero || !source_))
                frame = TRY(insert_new_locked(index, Zeroing::kZeroed, 0));
            if (frame && !frame->is(kFrameBusy)) {
                frame_pin(*frame);
                frame->set(kFrameReferenced);
                return PinnedFrame(frame_number(*frame));
            }
            if (!frame && is_past_end_locked(index)) return Errno::kINVAL;
            busy = frame;
        }
        if (busy)
            frame_wait(*busy, kFrameBusy);
        else
            TRY(fill(index, window_for(index)));
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
