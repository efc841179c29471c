// A ring of bytes over pages that are allocated as bytes arrive: what pipes and stream sockets keep between writer and reader.
//
// The owner's mutex is held around everything that moves bytes, user copies included; bytes(), space() and capacity() may be asked without it.
// The ways of a byte are inlined into the owner's one function for each direction: nothing is called more often.
#pragma once

#include "mm/frames.h"
#include "mm/io_buffer.h"
#include "mm/slab.h"

namespace faultline {

class ByteRing {
 public:
  ByteRing() = default;
  ByteRing(const ByteRing&) = delete;
  ByteRing& operator=(const ByteRing&) = delete;
  ~ByteRing() { clear(); }

  // Before anything else; `bytes` is a multiple of the page size. kNOMEM.
  Result<void> reserve(uint32_t bytes);
  // The same for a ring in use: kBUSY if its bytes do not fit. kNOMEM.
  Result<void> resize(uint32_t bytes);
  // Drops all bytes and pages.
  void clear();

  uint32_t bytes() const { return used_.load(memory_order_relaxed); }
  uint32_t capacity() const { return capacity_.load(memory_order_relaxed); }
  uint32_t space() const { return capacity() - bytes(); }

  // The oldest bytes go to the buffer, as many as there is room for. kFAULT if none could.
  Result<size_t> take(IoBuffer& buffer);
  // At most `limit` of them, the first `skip` left out; and they stay, until somebody drops them.
  Result<size_t> peek(IoBuffer& buffer, uint32_t skip, size_t limit) const;
  void drop(uint32_t bytes);  // the oldest
  // Up to `limit` bytes (at most space()) come from the buffer. kFAULT, kNOMEM if none could.
  Result<size_t> put(IoBuffer& buffer, uint32_t limit);

 private:
  FrameNumber& page_of(uint32_t position) const { return pages_[position >> kPageShift]; }
  void consumed(uint32_t bytes);
  void free_pages(uint32_t from_page);

  Buffer<FrameNumber> pages_;  // none() where no byte is
  uint32_t start_ = 0;         // ring position of the oldest byte; 0 whenever the ring is empty
  Atomic<uint32_t> used_{0};
  Atomic<uint32_t> capacity_{0};
};

// An empty ring starts again at the first page and keeps it, so that short messages always use the same one.
[[gnu::always_inline]] inline void ByteRing::consumed(uint32_t bytes) {
  uint32_t left = used_.load(memory_order_relaxed) - bytes;
  uint32_t page = start_ >> kPageShift;
  start_ += bytes;
  if (left == 0) {
    bool is_only_first = start_ <= kPageSize;
    start_ = 0;
    used_.store(0, memory_order_release);
    if (!is_only_first) free_pages(1);
    return;
  }
  if (start_ >> kPageShift != page && page != 0) {
    // The page may hold the newest bytes too, when the ring is full around.
    uint32_t end = start_ + left;
    bool is_used_again = end > capacity() && (end - capacity() - 1) >> kPageShift >= page;
    if (!is_used_again) {
      frame_free(pages_[page]);
      pages_[page] = FrameNumber::none();
    }
  }
  if (start_ == capacity()) start_ = 0;
  used_.store(left, memory_order_release);
}

[[gnu::always_inline]] inline Result<size_t> ByteRing::take(IoBuffer& buffer) {
  size_t total = 0;
  while (buffer.remaining() != 0 && bytes() != 0) {
    uint32_t piece = kPageSize - (start_ & kPageMask);
    if (piece > bytes()) piece = bytes();
    Result<size_t> moved = buffer.put(direct_map_bytes(page_of(start_)) + (start_ & kPageMask), piece);
    if (!moved.ok()) return total != 0 ? Result<size_t>(total) : moved;
    if (moved.value() == 0) break;
    total += moved.value();
    consumed(static_cast<uint32_t>(moved.value()));
    if (moved.value() < piece) break;
  }
  return total;
}

[[gnu::always_inline]] inline Result<size_t> ByteRing::put(IoBuffer& buffer, uint32_t limit) {
  size_t total = 0;
  while (total < limit && buffer.remaining() != 0) {
    uint32_t at = start_ + bytes();
    if (at >= capacity()) at -= capacity();
    uint32_t piece = kPageSize - (at & kPageMask);
    if (piece > limit - total) piece = static_cast<uint32_t>(limit - total);
    FrameNumber& page = page_of(at);
    if (page.is_none()) {
      Result<FrameNumber> frame = frame_allocate(FrameUse::kKernel, Zeroing::kNotNeeded);
      if (!frame.ok()) return total != 0 ? Result<size_t>(total) : frame.error();
      page = frame.value();
    }
    Result<size_t> moved = buffer.take(direct_map_bytes(page) + (at & kPageMask), piece);
    if (!moved.ok()) return total != 0 ? Result<size_t>(total) : moved;
    used_.store(bytes() + static_cast<uint32_t>(moved.value()), memory_order_release);
    total += moved.value();
    if (moved.value() < piece) break;
  }
  return total;
}

}  // namespace faultline
