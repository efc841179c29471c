// The reverse map: for every counted frame exactly the page-table slots that name it (M1). The first locator is kept in the
// frame's record (the first two for anonymous frames, so that a fork's un-share allocates nothing); more go to a chain
// of small blocks. All but reverse_maps_compact() needs the frame's lock.
#pragma once

#include "lib/result.h"
#include "mm/frame.h"

namespace faultline {

// A slot of a page table: 30 bits.
class Locator {
 public:
  constexpr Locator(FrameNumber table, uint32_t index) : raw_(table.value() << 10 | index) {}
  constexpr explicit Locator(uint32_t raw) : raw_(raw) {}
  constexpr FrameNumber table() const { return FrameNumber(raw_ >> 10); }
  constexpr uint32_t index() const { return raw_ & 0x3ff; }
  constexpr uint32_t raw() const { return raw_; }
  constexpr bool operator==(const Locator&) const = default;

 private:
  uint32_t raw_;
};

struct LocatorBlock {
  static constexpr uint32_t kLocators = (32 - sizeof(void*) - 4) / 4;
  LocatorBlock* next;
  uint32_t count;  // kLocators in every block of a chain but the first, never 0
  uint32_t locators[kLocators];
};

// Counts one more slot. Allocates (kNOMEM) only past the inline places; for a frame's first slot it cannot fail.
Result<void> reverse_map_add(Frame& frame, Locator slot);
// The slot moved; the count stays.
void reverse_map_move(Frame& frame, Locator from, Locator to);

// Gives back chains that their frames no longer need; takes each frame's lock in turn.
void reverse_maps_compact();

constexpr bool reverse_is_inline(uintptr_t word) { return word & 1; }
constexpr uintptr_t reverse_word(Locator slot) { return uintptr_t{slot.raw()} << 2 | 1; }
constexpr Locator reverse_inline(uintptr_t word) { return Locator(static_cast<uint32_t>(word >> 2)); }

// The first slot of a frame that nobody else can see yet; or, without its lock, of an object's frame that nobody maps: whoever adds
// holds the object's lock, as the caller does, who walks looks at `map` first, and who removed the last slot has done so when `map` is zero.
inline void reverse_map_add_first(Frame& frame, Locator slot) {
  frame.reverse = reverse_word(slot);
  frame.map.store(1, memory_order_release);
}
// The second slot of an anonymous frame, as fork gives it. False: it is another case.
inline bool reverse_map_add_second(Frame& frame, Locator slot) {
  bool is_case = frame.use == FrameUse::kAnonymous && frame.map.load(memory_order_relaxed) == 1 && reverse_is_inline(frame.reverse);
  if (!is_case) return false;
  frame.second = reverse_word(slot);
  frame.map.store(2, memory_order_relaxed);
  return true;
}

// Counts one slot less. The slot must be known. `map` changes last: see reverse_map_add_first().
void reverse_map_remove_from_chain(Frame& frame, Locator slot);
inline void reverse_map_remove(Frame& frame, Locator slot) {
  uint32_t count = frame.map.load(memory_order_relaxed);
  ASSERT(count > 0);
  if (!reverse_is_inline(frame.reverse)) [[unlikely]] {
    reverse_map_remove_from_chain(frame, slot);
  } else {
    bool is_first = frame.reverse == reverse_word(slot);
    ASSERT(is_first || (count == 2 && frame.second == reverse_word(slot)));
    if (is_first) frame.reverse = count == 2 ? frame.second : 0;
    if (count == 2) frame.second = 0;
  }
  frame.map.store(count - 1, memory_order_release);
}

// Calls visit(Locator) for every slot; stops and returns false when it returns false. `visit` may not change the map.
template <typename Visit>
bool reverse_map_for_each(const Frame& frame, Visit visit) {
  if (frame.map.load(memory_order_acquire) == 0) return true;
  if (reverse_is_inline(frame.reverse)) {
    if (!visit(reverse_inline(frame.reverse))) return false;
    return frame.map.load(memory_order_relaxed) == 1 || visit(reverse_inline(frame.second));
  }
  for (const LocatorBlock* block = reinterpret_cast<const LocatorBlock*>(frame.reverse); block; block = block->next)
    for (uint32_t i = 0; i < block->count; i++)
      if (!visit(Locator(block->locators[i]))) return false;
  return true;
}

}  // namespace faultline
