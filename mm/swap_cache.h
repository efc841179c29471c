// Frames and swap slots together. An anonymous frame that has a slot (kFrameResident) holds the slot's page: it is *in the swap cache*. The page
// came from there, or is on its way there; while it has the slot nobody may write to it (M3), so that the two stay equal. Entries may name the
// frame (present, in page tables) and the slot (swapped) at the same time. A frame's slot changes under the frame's lock and swap_lock.
#pragma once

#include "mm/swap_slots.h"

namespace faultline {

inline SwapSlot frame_slot(const Frame& frame) { return SwapSlot(frame.swap_slot); }
inline bool frame_has_slot(const Frame& frame) { return frame.use == FrameUse::kAnonymous && frame.is(kFrameResident); }

// Entries that name a slot come and go, under the lock of the table (the object) that has them.
void swap_entry_add(SwapSlot slot);
// The last one takes the slot along, and the frame that cached it, if nobody else needs that.
void swap_entry_drop(SwapSlot slot);
// The entry becomes one that names `frame`, which caches the slot and whose lock is held.
void swap_entry_turned(Frame& frame);

// A slot for an anonymous frame that has none; its page still has to be written. Under the frame's lock. False: swap is full.
bool swap_cache_add(Frame& frame);
// Gives the slot up if no entry names it and no I/O is under way. Under the frame's lock. True: the frame has no slot any more.
bool swap_cache_leave(Frame& frame);
// Leaves the page to the slot: the frame, which is clean, may go. Under the frame's lock.
void swap_cache_forget(Frame& frame);
// The frame that caches the slot, locked; null: none. The caller holds what keeps an entry with the slot from going.
Frame* swap_cache_lock(SwapSlot slot);
uint32_t swap_cache_frames();

// Brings a slot's page, and those of its run that are wanted and absent, into the cache. Sleeps; nothing may be held but what the caller of
// frame_allocate() may hold. kIO, kNOMEM; and success says only that it is worth looking again.
Result<void> swap_read(SwapSlot slot);

// Frames on their way out: gathered by the reclaimer under its locks, then written together.
class SwapOut {
 public:
  static constexpr uint32_t kMost = 32;
  bool is_full() const { return count_ == kMost; }
  uint32_t count() const { return count_; }
  // A frame with a slot, which no entry names and nothing queues; pinned from now on. Under its lock.
  void add(Frame& frame);
  // Writes them, and frees those that nobody has fetched back. Sleeps. Returns how many came free.
  uint32_t write();

 private:
  uint32_t write_piece(uint32_t from, uint32_t count);
  bool finish(Frame& frame, bool is_written);
  Frame* frames_[kMost];
  uint32_t count_ = 0;
};

}  // namespace faultline
