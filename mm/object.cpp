// Objects: life, size, and the index of pages. Reading and writing are in object_io.cpp, filling in object_fill.cpp, cleaning in
// object_write_back.cpp.
#include "mm/object.h"

#include <machine/planted_bugs.h>

#include "lib/string.h"
#include "mm/commit.h"
#include "mm/reclaim.h"

namespace faultline {

using machine::Bug;
using machine::planted;

PinnedFrame::~PinnedFrame() {
  if (!frame_.is_none()) frame_unpin(frame_record(frame_));
}
uint8_t* PinnedFrame::data() const { return direct_map_bytes(frame_); }

Object::Object(PageSource* source, uint64_t bytes) : source_(source), size_(bytes) {}
Object::Object(PageSource& source, uint64_t bytes) : Object(&source, bytes) {}
Object::~Object() {
  ASSERT(tagged_ == 0);
  reclaim_barrier();
}

uint64_t Object::size() const {
  LockGuard guard(lock_);
  return size_;
}
uint32_t Object::resident_pages() const {
  LockGuard guard(lock_);
  return pages_.count() - swapped_;
}
uint32_t Object::pages() const {
  LockGuard guard(lock_);
  return pages_.count();
}
bool Object::has_page(PageIndex index) const {
  LockGuard guard(lock_);
  return !is_empty_locked(index);
}
bool Object::is_resident(PageIndex index) const {
  LockGuard guard(lock_);
  return lookup_locked(index) != nullptr;
}
bool Object::is_at_hand(PageIndex index) const {
  LockGuard guard(lock_);
  const Frame* frame = lookup_locked(index);
  return frame && !frame->is(kFrameBusy);
}
uint32_t Object::dirty_pages() const {
  LockGuard guard(lock_);
  return tagged_;
}

Result<void> Object::insert_locked(PageIndex index, Frame& frame, uint8_t flags, Demand demand) {
  ASSERT(frame.use == FrameUse::kObject);
  CommitPromise promise;
  if (promises_pages_ && !promise.take(1, 0).ok()) return Errno::kNOSPC;
  if (!pages_.set(index.value(), frame_number(frame).value() + 1)) return Errno::kNOMEM;
  promise.keep();
  frame.object = this;
  frame.index = index.value();
  frame.set(static_cast<uint8_t>(flags | kFrameResident));
  reclaim_enqueue(frame, demand);
  return {};
}

Result<Frame*> Object::insert_new_locked(PageIndex index, Zeroing zeroing, uint8_t flags, Demand demand) {
  FrameNumber number = TRY(frame_allocate(FrameUse::kObject, zeroing));
  Frame& frame = frame_record(number);
  auto inserted = insert_locked(index, frame, flags, demand);
  if (inserted.ok()) return &frame;
  frame_free(number);
  return inserted.error();
}

void Object::remove_locked(Frame& frame) {
  DEBUG_ASSERT(frame.object == this && !frame.is(kFrameWriteBack));
  if (frame.is(kFrameTagged)) untag_locked(frame);
  frame_pin(frame);  // until no TLB names it
  frame_unmap(frame, TableWait::kWait);
  reclaim_dequeue(frame);
  pages_.take(frame.index);
  if (promises_pages_) commit_release(1);
  frame.object = nullptr;
  frame.clear(0xff);
  frame_unpin(frame);
}

Result<void> Object::remove_range(PageIndex first, uint32_t pages) {
  uint32_t from = first.value(), end = pages > ~0u - from ? ~0u : from + pages;
  for (;;) {
    Frame* frame = nullptr;
    {
      LockGuard guard(lock_);
      uint32_t index, value;
      while (from < end && pages_.next(from, index, value) && index < end) {
        from = index;
        if (is_swap_mark(value)) {
          drop_swapped_locked(PageIndex(index));
          continue;
        }
        frame = &frame_record(FrameNumber(value - 1));
        if (frame->is(kFrameBusy) || frame->is(kFrameWriteBack)) break;
        remove_locked(*frame);
        frame = nullptr;
      }
      if (!frame) return {};
    }
    // Blocks must not be reused while the old contents are still on their way to them.
    frame_wait(*frame, kFrameBusy | kFrameWriteBack);
  }
}

Result<void> Object::discard(PageIndex first, uint32_t pages) { return remove_range(first, pages); }
void Object::drop_all() { ignore_result(remove_range(PageIndex(0), ~0u)); }  // removing cannot fail

Result<void> Object::zero_tail() {
  if (planted(Bug::kTailNotZeroed)) return {};
  uint64_t end = size();
  uint32_t within = static_cast<uint32_t>(end & kPageMask);
  if (within == 0) return {};
  PageIndex last = PageIndex::of_byte(end);
  {
    LockGuard guard(lock_);
    if (is_empty_locked(last) && !source_) return {};
  }
  PinnedFrame page = TRY(pin_page(last, Missing::kRead));
  memset(page.data() + within, 0, kPageSize - within);
  mark_dirty(last);
  return {};
}

Result<void> Object::resize(uint64_t bytes) {
  if (bytes > size()) {
    TRY(zero_tail());
    LockGuard guard(lock_);
    size_ = bytes;
    return {};
  }
  {
    const uint32_t within = static_cast<uint32_t>(bytes & kPageMask);
    const PageIndex last = PageIndex::of_byte(bytes);
    PinnedFrame kept;  // or it could go to swap, and come back from there as it was
    if (within != 0 && !source_ && has_page(last)) kept = TRY(pin_page(last, Missing::kRead));
    LockGuard guard(lock_);
    size_ = bytes;
    Frame* frame = within != 0 ? lookup_locked(last) : nullptr;
    // Mappings show zeroes from now on. (What they write there themselves is zeroed once more before the file grows.)
    if (frame && !frame->is(kFrameBusy)) memset(direct_map_bytes(frame_number(*frame)) + within, 0, kPageSize - within);
  }
  PageIndex end(pages_for(bytes));
  TRY(remove_range(end, ~0u));
  // After the pages themselves, or a fault could copy one once more.
  if (!planted(Bug::kCopiesOutliveTruncation)) drop_copies(end);
  return {};
}

uint32_t Object::drop_clean(PageIndex first, uint32_t pages) {
  if (!source_) return 0;
  LockGuard guard(lock_);
  uint32_t dropped = 0, from = first.value(), end = pages > ~0u - from ? ~0u : from + pages, index, value;
  while (from < end && pages_.next(from, index, value) && index < end) {
    Frame& frame = frame_record(FrameNumber(value - 1));
    from = index + 1;
    bool in_use = frame.flags.load(memory_order_relaxed) & (kFrameBusy | kFrameWriteBack | kFrameTagged | kFrameDirty);
    if (in_use || frame.map.load(memory_order_relaxed) != 0 || frame.pins.load(memory_order_relaxed) != 0) continue;
    remove_locked(frame);
    dropped++;
    if (from == 0) break;
  }
  return dropped;
}

void Object::acquire() { PANIC("an object's owner counts its users"); }
void Object::release() { PANIC("an object's owner counts its users"); }

}  // namespace faultline
