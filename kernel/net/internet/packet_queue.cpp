// Buffers in a queue: see packet_queue.h.
#include "kernel/net/internet/packet_queue.h"

namespace faultline {

void PacketQueue::free_first() {
  pbuf* first = first_;
  first_ = first->next;
  if (!first_) last_ = nullptr;
  offset_ = 0;
  buffers_--;
  first->next = nullptr;
  first->tot_len = first->len;
  pbuf_free(first);
}

void PacketQueue::drop(uint32_t bytes) {
  while (first_ && bytes >= first_->len - offset_) {
    bytes -= first_->len - offset_;
    free_first();
  }
  offset_ += bytes;
}

void PacketQueue::clear() {
  while (first_) free_first();
}

Result<size_t> packet_copy(const pbuf* first, uint32_t offset, uint32_t bytes, IoBuffer& buffer) {
  size_t copied = 0;
  for (const pbuf* each = first; bytes != 0; each = each->next, offset = 0) {
    const uint32_t piece = bytes < each->len - offset ? bytes : each->len - offset;
    Result<size_t> moved = buffer.put(static_cast<const uint8_t*>(each->payload) + offset, piece);
    if (!moved.ok()) return copied != 0 ? Result<size_t>(copied) : moved;
    copied += moved.value();
    if (moved.value() < piece) break;
    bytes -= piece;
  }
  return copied;
}

}  // namespace faultline
