// The slot array: which slots of swap space are taken, how many entries name each, and the frame that caches its page. One lock for all of it,
// the last that a fault takes.
#pragma once

#include <optional>

#include "lib/lock.h"
#include "mm/frame.h"
#include "mm/swap.h"

namespace faultline {

inline constexpr uint32_t kSwapRun = 8;  // slots are given out, and read back, in aligned runs of so many

// A slot is free when neither an entry nor a frame has it.
struct SwapRecord {
  uint32_t entries;  // swap entries in live tables, and in the indices of objects, that name the slot (M4)
  uint32_t frame;    // that holds its page and whose `swap_slot` points back (kNoFrame: none)
};

extern SpinLock<LockRank::kSwapSlots> swap_lock;

// Of a slot that somebody has: an entry, or the frame that caches it.
SwapRecord& swap_record(SwapSlot slot) REQUIRES(swap_lock);
// The same for a slot that may be nobody's any more: null past the end of its area, or when that is not in use.
SwapRecord* swap_record_if_any(SwapSlot slot) REQUIRES(swap_lock);
// A slot nobody has, of the open area with the highest priority; whoever takes several gets neighbours if there are any.
std::optional<SwapSlot> swap_slot_take() REQUIRES(swap_lock);
void swap_slot_give_back(SwapSlot slot) REQUIRES(swap_lock);
// Stays while a slot of the area is taken.
SwapStore& swap_store(uint32_t area);

// Some area takes pages. A hint unless swap_lock is held.
bool swap_is_on();
// No slot is left, or there is no swap. A hint.
bool swap_is_full();
// Past this, slots are worth more than the writes that they save.
bool swap_is_half_full();

// As swap_add(), for the slots alone.
Result<uint32_t> swap_slots_add(SwapStore& store, uint32_t pages, std::span<const uint32_t> bad, int32_t priority);
struct SwapSpace {
  uint32_t total, free;
};
SwapSpace swap_space();
// An area on its way out takes no more pages; false: it is not in use, or is on its way out already.
bool swap_area_close(uint32_t area);
bool swap_area_is_leaving(uint32_t area);  // a hint unless swap_lock is held
void swap_area_reopen(uint32_t area);
// A closed area without taken slots is forgotten; false: some are still taken.
bool swap_area_remove(uint32_t area);

// M4, when all entries have been counted down: none may be left over. What is wrong, or null.
const char* swap_slots_check();

}  // namespace faultline
