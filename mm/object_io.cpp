// read(2) and write(2) on an object: the copies go straight between the caller's memory and the object's frames, which are pinned and
// not locked meanwhile, because the caller's memory may itself be a mapping of this object.
#include "lib/string.h"
#include "mm/object.h"
#include "mm/reclaim.h"

namespace faultline {

Result<size_t> Object::read(uint64_t offset, IoBuffer& buffer) {
  size_t done = 0;
  while (buffer.remaining() > 0) {
    uint64_t end = size();
    if (offset >= end) break;
    uint32_t within = static_cast<uint32_t>(offset & kPageMask), bytes = kPageSize - within;
    if (bytes > end - offset) bytes = static_cast<uint32_t>(end - offset);
    if (bytes > buffer.remaining()) bytes = static_cast<uint32_t>(buffer.remaining());
    if (buffer.is_impatient() && !is_at_hand(PageIndex::of_byte(offset))) return done > 0 ? Result<size_t>(done) : Errno::kAGAIN;
    auto page = pin_page(PageIndex::of_byte(offset), Missing::kRead);
    if (!page.ok() && page.error() == Errno::kNOMEM && reclaim_or_end_somebody()) continue;
    if (!page.ok() && page.error() == Errno::kINVAL) break;  // truncated since we looked
    auto moved = page.ok() ? buffer.put(page.value().data() + within, bytes) : Result<size_t>(page.error());
    if (!moved.ok()) return done > 0 ? Result<size_t>(done) : moved;
    done += moved.value();
    offset += moved.value();
    if (moved.value() < bytes) break;
  }
  return done;
}

// The page's bytes have arrived, up to `end` of the object: dirty, and the size follows. After the copy, so that a write-back in
// between cannot take the mark for half of it.
void Object::finish_write(Frame& frame, uint64_t end) {
  LockGuard guard(lock_);
  if (frame.object != this) return;  // truncated meanwhile
  tag_locked(frame, kFrameDirty | kFramePrepared);
  if (end > size_) size_ = end;
}

// A page that is written whole, or lies past the end, needs no reading: the bytes come into a frame of our own first (nobody sees it, so
// the caller's memory may fault on anything), which then joins the index.
Result<size_t> Object::write_new_page(PageIndex index, uint32_t within, uint32_t bytes, IoBuffer& buffer) {
  FrameNumber number = TRY(frame_allocate(FrameUse::kObject, Zeroing::kNotNeeded));
  Frame& frame = frame_record(number);
  uint8_t* data = direct_map_bytes(number);
  frame_pin(frame);
  PinnedFrame ours(number);
  auto moved = buffer.take(data + within, bytes);
  if (!moved.ok()) return moved;
  uint32_t end = within + static_cast<uint32_t>(moved.value());
  {
    LockGuard guard(lock_);
    bool is_new = index.byte() >= size_ || !source_;
    if (is_empty_locked(index) && (is_new || moved.value() == kPageSize)) {
      memset(data, 0, within);
      memset(data + end, 0, kPageSize - end);
      TRY(insert_locked(index, frame, kFramePrepared | kFrameReferenced));
      tag_locked(frame, kFrameDirty);
      if (index.byte() + end > size_) size_ = index.byte() + end;
      return moved;
    }
  }
  // Somebody brought the page in meanwhile, or only a part of it arrived: ours is just a buffer.
  auto page = pin_page(index, Missing::kRead);
  if (!page.ok()) return page.error();
  memcpy(page.value().data() + within, data + within, moved.value());
  finish_write(frame_record(page.value().frame()), index.byte() + end);
  return moved;
}

Result<size_t> Object::write_piece(PageIndex index, uint32_t within, uint32_t bytes, IoBuffer& buffer) {
  bool is_absent, is_new;
  {
    LockGuard guard(lock_);
    is_absent = is_empty_locked(index);
    is_new = bytes == kPageSize || index.byte() >= size_ || !source_;
  }
  if (is_absent && is_new) return write_new_page(index, within, bytes, buffer);
  PinnedFrame page = TRY(pin_page(index, Missing::kRead));
  size_t moved = TRY(buffer.take(page.data() + within, bytes));
  finish_write(frame_record(page.frame()), index.byte() + within + moved);
  return moved;
}

Result<size_t> Object::write(uint64_t offset, IoBuffer& buffer) {
  size_t done = 0;
  constexpr uint32_t kPreparePages = 16;  // at once
  uint32_t prepared = 0;
  bool is_tail_zero = false;
  while (buffer.remaining() > 0) {
    PageIndex index = PageIndex::of_byte(offset);
    uint32_t within = static_cast<uint32_t>(offset & kPageMask), bytes = kPageSize - within;
    if (bytes > buffer.remaining()) bytes = static_cast<uint32_t>(buffer.remaining());
    size_t before = buffer.remaining();
    auto moved = [&]() -> Result<size_t> {
      if (!is_tail_zero && offset > size()) TRY(zero_tail());
      is_tail_zero = true;
      if (source_ && prepared == 0) {
        uint32_t wanted = pages_for(within + uint64_t{buffer.remaining()});
        prepared = wanted < kPreparePages ? wanted : kPreparePages;
        if (!source_->prepare_write(index, prepared).ok()) {
          TRY(source_->prepare_write(index, 1));  // what fits is written
          prepared = 1;
        }
      }
      return write_piece(index, within, bytes, buffer);
    }();
    if (!moved.ok()) {
      bool can_retry = moved.error() == Errno::kNOMEM && buffer.remaining() == before;
      if (can_retry && reclaim_or_end_somebody()) continue;
      return done > 0 ? Result<size_t>(done) : moved;
    }
    done += moved.value();
    offset += moved.value();
    if (moved.value() < bytes) break;
    if (prepared > 0) prepared--;
    throttle_dirty();
  }
  return done;
}

}  // namespace faultline
