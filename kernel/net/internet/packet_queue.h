// lwIP's buffers in a queue. A chain of them has no more than 64 KiB, a queue has no such limit: each buffer stands for itself here, and its link
// is the queue's.
#pragma once

#include <lwip/pbuf.h>

#include "kernel/net/lwip/core.h"
#include "mm/io_buffer.h"

namespace faultline {

// Copies `bytes` of the buffers from `first` on, without the first `offset`, which must be inside `first`. kFAULT. May sleep.
Result<size_t> packet_copy(const pbuf* first, uint32_t offset, uint32_t bytes, IoBuffer& buffer);

class PacketQueue {
 public:
  // Takes over a chain.
  void append(pbuf* chain) REQUIRES(network_lock) {
    (last_ ? last_->next : first_) = chain;
    buffers_++;
    for (last_ = chain; last_->next; last_ = last_->next) buffers_++;
  }
  uint32_t buffers() const REQUIRES(network_lock) { return buffers_; }
  // Frees `bytes` from the front, which are there.
  void drop(uint32_t bytes) REQUIRES(network_lock);
  void clear() REQUIRES(network_lock);

  // Copies up to `bytes`, which are there, to `buffer`. For the one reader, who holds whatever keeps others from dropping. kFAULT.
  Result<size_t> copy(IoBuffer& buffer, uint32_t bytes) const { return packet_copy(first_, offset_, bytes, buffer); }

 private:
  void free_first() REQUIRES(network_lock);
  pbuf *first_ = nullptr, *last_ = nullptr;
  uint32_t offset_ = 0;   // how much of the first is gone
  uint32_t buffers_ = 0;  // changed under network_lock
};

}  // namespace faultline
