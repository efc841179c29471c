// The parts of a ring of bytes that are rarely needed: its size, its end, a look that takes nothing.
#include "fs/byte_ring.h"

#include <utility>

namespace faultline {

Result<void> ByteRing::reserve(uint32_t bytes) {
  Buffer<FrameNumber> pages = TRY(Buffer<FrameNumber>::create(bytes >> kPageShift));
  for (uint32_t i = 0; i < pages.size(); i++) pages[i] = FrameNumber::none();
  pages_ = std::move(pages);
  capacity_.store(bytes, memory_order_release);
  return {};
}

Result<void> ByteRing::resize(uint32_t wanted) {
  uint32_t pages = wanted >> kPageShift, count = static_cast<uint32_t>(pages_.size());
  Buffer<FrameNumber> other = TRY(Buffer<FrameNumber>::create(pages));
  uint32_t first = start_ >> kPageShift;
  uint32_t held = bytes() == 0 ? 0 : pages_for((start_ & kPageMask) + bytes());
  if (held > pages || held > count) return Errno::kBUSY;  // more than fits, or the first page is the last one too
  for (uint32_t i = 0; i < pages; i++) other[i] = FrameNumber::none();
  for (uint32_t i = 0; i < held; i++) other[i] = std::exchange(pages_[(first + i) % count], FrameNumber::none());
  free_pages(0);
  start_ &= kPageMask;
  pages_ = std::move(other);
  capacity_.store(wanted, memory_order_release);
  return {};
}

void ByteRing::clear() {
  free_pages(0);
  start_ = 0;
  used_.store(0, memory_order_release);
}

void ByteRing::free_pages(uint32_t from_page) {
  for (uint32_t i = from_page; i < pages_.size(); i++) {
    if (pages_[i].is_none()) continue;
    frame_free(pages_[i]);
    pages_[i] = FrameNumber::none();
  }
}

void ByteRing::drop(uint32_t bytes) {
  while (bytes != 0) {
    uint32_t piece = kPageSize - (start_ & kPageMask);
    if (piece > bytes) piece = bytes;
    consumed(piece);
    bytes -= piece;
  }
}

Result<size_t> ByteRing::peek(IoBuffer& buffer, uint32_t skip, size_t limit) const {
  size_t total = 0;
  while (buffer.remaining() != 0 && skip + total < bytes() && total < limit) {
    uint32_t done = skip + static_cast<uint32_t>(total), at = start_ + done;
    if (at >= capacity()) at -= capacity();
    size_t piece = kPageSize - (at & kPageMask);
    if (piece > bytes() - done) piece = bytes() - done;
    if (piece > limit - total) piece = limit - total;
    Result<size_t> moved = buffer.put(direct_map_bytes(page_of(at)) + (at & kPageMask), piece);
    if (!moved.ok()) return total != 0 ? Result<size_t>(total) : moved;
    total += moved.value();
    if (moved.value() < piece) break;
  }
  return total;
}

}  // namespace faultline
