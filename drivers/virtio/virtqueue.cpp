// Split virtqueues: see virtqueue.h.
#include "drivers/virtio/virtqueue.h"

#include <bit>

#include "arch/mmu.h"
#include "arch/port_io.h"
#include "lib/string.h"
#include "mm/frames.h"

namespace faultline {

uint32_t virtio_order_for(uint32_t bytes) { return static_cast<uint32_t>(std::bit_width(pages_for(bytes) - 1)); }

// The available ring ends with a 16-bit field that we have no use for, and the used ring begins on the next page.
uint32_t Virtqueue::used_offset() const {
  return align_up<uint32_t>(size_ * static_cast<uint32_t>(sizeof(Descriptor)) + 6 + 2u * size_, kPageSize);
}

Result<void> Virtqueue::create(uint16_t ports, uint16_t index) {
  port_write16(ports + virtio::kQueueSelect, index);
  const uint16_t size = port_read16(ports + virtio::kQueueSize);
  if (!std::has_single_bit(size)) return Errno::kNODEV;
  ports_ = ports;
  index_ = index;
  size_ = size;
  under_way_ = TRY(Buffer<bool>::create(size));
  frame_ = TRY(frames_allocate(virtio_order_for(bytes()), FrameUse::kKernel, Zeroing::kNotNeeded));
  return {};
}

void Virtqueue::reset() {
  uint8_t* base = direct_map_bytes(frame_);
  memset(base, 0, bytes());
  descriptors_ = reinterpret_cast<Descriptor*>(base);
  available_ = reinterpret_cast<AvailableRing*>(base + size_ * sizeof(Descriptor));
  used_ = reinterpret_cast<UsedRing*>(base + used_offset());
  used_seen_ = free_head_ = pieces_ = 0;
  free_count_ = size_;
  for (uint16_t i = 0; i < size_; i++) {
    descriptors_[i].next = static_cast<uint16_t>(i + 1);
    under_way_[i] = false;
  }
  port_write16(ports_ + virtio::kQueueSelect, index_);
  port_write32(ports_ + virtio::kQueueFrame, frame_.value());
}

void Virtqueue::append(PhysAddr address, uint32_t bytes, Access access) {
  if (pieces_++ == 0) head_ = free_head_;
  last_ = free_head_;
  Descriptor& descriptor = descriptors_[last_];
  descriptor.address = address.value();
  descriptor.bytes = bytes;
  descriptor.flags = access == Access::kDeviceWrites ? kNext | kDeviceWrites : kNext;
  free_head_ = descriptor.next;
}

void Virtqueue::make_available() {
  descriptors_[last_].flags &= kDeviceWrites;
  free_count_ = static_cast<uint16_t>(free_count_ - std::exchange(pieces_, 0));
  under_way_[head_] = true;
  const uint16_t index = available_->index.load(memory_order_relaxed);
  available_->heads[index % size_] = head_;
  available_->index.store(static_cast<uint16_t>(index + 1), memory_order_seq_cst);  // after all it stands for
}

void Virtqueue::notify() { port_write16(ports_ + virtio::kQueueNotify, index_); }

bool Virtqueue::take_used(Used& used) {
  while (used_seen_ != used_->index.load(memory_order_acquire)) {
    const UsedElement element = used_->elements[used_seen_ % size_];
    used_seen_++;
    if (element.head >= size_ || !under_way_[element.head]) continue;  // a device gone mad
    used = {static_cast<uint16_t>(element.head), element.bytes};
    under_way_[used.head] = false;
    free_chain(used.head);
    return true;
  }
  return false;
}

void Virtqueue::free_chain(uint16_t head) {
  uint16_t last = head;
  uint16_t count = 1;
  for (; descriptors_[last].flags & kNext; count++) last = descriptors_[last].next;
  descriptors_[last].next = free_head_;
  free_head_ = head;
  free_count_ = static_cast<uint16_t>(free_count_ + count);
}

void Virtqueue::set_interrupts(bool wanted) { available_->flags.store(wanted ? 0 : kNoInterrupt, memory_order_seq_cst); }

}  // namespace faultline
