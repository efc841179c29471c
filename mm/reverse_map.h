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
// Counts one slot less. The slot must be known.
void reverse_map_remove(Frame& frame, Locator slot);
// The slot moved; the count stays.
void reverse_map_move(Frame& frame, Locator from, Locator to);

// Gives back chains that their frames no longer need; takes each frame's lock in turn.
void reverse_maps_compact();

// The first slot of a frame that only one maps or that nobody else can see yet: the fast path.
inline void reverse_map_add_first(Frame& frame, Locator slot) {
    frame.reverse = uintptr_t{slot.raw()} << 2 | 1;
    frame.map.store(1, memory_order_relaxed);
}
inline bool reverse_map_is_only(const Frame& frame, Locator slot) {
    return frame.map.load(memory_order_relaxed) == 1 && frame.reverse == (uintptr_t{slot.raw()} << 2 | 1);
}
inline void reverse_map_remove_only(Frame& frame) {
    frame.reverse = 0;
    frame.map.store(0, memory_order_relaxed);
}

constexpr bool reverse_is_inline(uintptr_t word) { return word & 1; }
constexpr Locator reverse_inline(uintptr_t word) { return Locator(static_cast<uint32_t>(word >> 2)); }

// Calls visit(Locator) for every slot; stops and returns false when it returns false. `visit` may not change the map.
template <typename Visit>
bool reverse_map_for_each(const Frame& frame, Visit visit) {
    if (frame.map.load(memory_order_relaxed) == 0) return true;
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
