// See ring_memory.h.
#include "kernel/io_uring/ring_memory.h"

namespace faultline {

Result<void> RingMemory::create(uint32_t bytes) {
  const uint32_t pages = pages_for(bytes);
  object_ = TRY(Object::create_anonymous(uint64_t{pages} << kPageShift));
  frames_ = TRY(Buffer<FrameNumber>::create(pages));
  for (; pinned_ < pages; pinned_++) {
    PinnedFrame page = TRY(object_->page_for_overwrite(PageIndex(pinned_)));
    frames_[pinned_] = page.frame();
    frame_pin(frame_record(page.frame()));
  }
  return {};
}

}  // namespace faultline
