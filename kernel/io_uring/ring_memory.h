// Memory that a ring shares with programs: pages of an object that they map, pinned, seen by the kernel through the direct map. The program may
// write anything there at any time: what is read is read once, and checked.
#pragma once

#include "mm/object.h"
#include "mm/slab.h"

namespace faultline {

class RingMemory {
 public:
  RingMemory() = default;
  RingMemory(const RingMemory&) = delete;
  RingMemory& operator=(const RingMemory&) = delete;
  ~RingMemory() {
    for (uint32_t i = 0; i < pinned_; i++) PinnedFrame unpins(frames_[i]);
  }

  // Zeroed. kNOMEM.
  Result<void> create(uint32_t bytes);
  Ref<Object> object() const { return object_; }

  // T lies in one page.
  template <typename T>
  T& at(uint32_t offset) const {
    DEBUG_ASSERT((offset & kPageMask) + sizeof(T) <= kPageSize);
    return *reinterpret_cast<T*>(direct_map_bytes(frames_[offset >> kPageShift]) + (offset & kPageMask));
  }
  Atomic<uint32_t>& word(uint32_t offset) const { return at<Atomic<uint32_t>>(offset); }

 private:
  Ref<Object> object_;
  Buffer<FrameNumber> frames_;
  uint32_t pinned_ = 0;
};

}  // namespace faultline
