// How pages come into an object: read from its source by clusters, zeroed, or pinned where they are. I/O is done with nothing
// held; the frames are busy meanwhile, and who wants one waits and looks again.
#include "lib/string.h"
#include "mm/object.h"
#include "mm/reclaim.h"
#include "mm/swap_cache.h"

namespace faultline {

namespace {

// A frame that goes back if nobody takes it.
class SpareFrame {
 public:
  SpareFrame() = default;
  explicit SpareFrame(FrameNumber number) : number_(number) {}
  SpareFrame(const SpareFrame&) = delete;
  SpareFrame& operator=(const SpareFrame&) = delete;
  ~SpareFrame() {
    if (!number_.is_none()) frame_free(number_);
  }
  bool is_there() const { return !number_.is_none(); }
  FrameNumber number() const { return number_; }
  FrameNumber take() { return std::exchange(number_, FrameNumber::none()); }
  void replace(FrameNumber number) { number_ = number; }

 private:
  FrameNumber number_ = FrameNumber::none();
};

}  // namespace

uint32_t Object::window_for(PageIndex index) {
  LockGuard guard(lock_);
  constexpr uint32_t kFirstWindow = 4;
  bool follows = index.value() == next_miss_ && next_miss_ != 0;
  window_ = !follows ? kFirstWindow : window_ * 2 < kMaxCluster ? window_ * 2 : kMaxCluster;
  if (index.value() == 0) window_ = kFirstWindow * 2;  // from the start: likely all of it
  next_miss_ = index.value() + window_;
  return window_;
}

// Busy frames for absent pages from `first` on. The first may wait for memory, and therefore comes before the lock: what the lock holds cannot be
// taken by the reclaimer. The others are not worth that.
Result<uint32_t> Object::begin_fill(PageIndex first, uint32_t pages, FrameNumber* frames) {
  SpareFrame wanted(TRY(frame_allocate(FrameUse::kObject, Zeroing::kNotNeeded)));
  LockGuard guard(lock_);
  if (is_past_end_locked(first) || !is_empty_locked(first)) return 0u;  // somebody else was faster
  frames[0] = wanted.number();
  // Who wants it must come to it before the reclaimer does.
  TRY(insert_locked(first, frame_record(frames[0]), kFrameBusy | kFrameReferenced));
  frame_pin(frame_record(wanted.take()));
  uint32_t count = 1;
  PreemptionGuard no_waiting;
  for (; count < pages && !is_past_end_locked(first + count) && is_empty_locked(first + count); count++) {
    auto frame = insert_new_locked(first + count, Zeroing::kNotNeeded, kFrameBusy, Demand::kReadAhead);
    if (!frame.ok()) break;
    frame_pin(*frame.value());
    frames[count] = frame_number(*frame.value());
  }
  return count;
}

Result<void> Object::fill(PageIndex first, uint32_t pages) {
  FrameNumber frames[kMaxCluster];
  const uint32_t count = TRY(begin_fill(first, pages < kMaxCluster ? pages : kMaxCluster, frames));
  if (count == 0) return {};
  Result<void> result = source_->read_pages(first, std::span<const FrameNumber>(frames, count));
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
  const bool makes_zeroed = missing == Missing::kZero || !source_;
  SpareFrame zeroed;  // made with nothing held: see begin_fill()
  for (;;) {
    Place place;
    Presence presence;
    {
      LockGuard guard(lock_);
      presence = look_locked(index, place);
      if (presence == Presence::kAbsent && zeroed.is_there()) {
        place.frame = &frame_record(zeroed.number());
        TRY(insert_locked(index, *place.frame, 0));
        zeroed.take();
        presence = Presence::kResident;
      }
      if (presence == Presence::kResident) {
        frame_pin(*place.frame);
        place.frame->set(kFrameReferenced);
        return PinnedFrame(frame_number(*place.frame));
      }
      if (presence == Presence::kAbsent && !makes_zeroed && is_past_end_locked(index)) return Errno::kINVAL;
    }
    if (presence == Presence::kAbsent && makes_zeroed) {
      zeroed.replace(TRY(frame_allocate(FrameUse::kObject, Zeroing::kZeroed)));
      continue;
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
