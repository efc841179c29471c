// The reverse map's growth and shrinkage: see reverse_map.h. Three shapes, told apart by `map` and bit 0 of `reverse`:
//   map 0: reverse = 0        1 (2 if anonymous): inline, bit 0 set        more: a chain of blocks, all full but the first
// A chain stays one until its last locator goes: what has been shared once will be again, at the next fork.
#include "mm/reverse_map.h"

#include "mm/slab.h"

namespace faultline {
namespace {

uint32_t inline_capacity(const Frame& frame) { return frame.use == FrameUse::kAnonymous ? 2 : 1; }
LocatorBlock* chain_of(const Frame& frame) { return reinterpret_cast<LocatorBlock*>(frame.reverse); }

LocatorBlock* push_block(Frame& frame, LocatorBlock* next) {
  auto* block = static_cast<LocatorBlock*>(slab_allocate(sizeof(LocatorBlock)));
  if (!block) return nullptr;
  block->next = next;
  block->count = 0;
  frame.reverse = reinterpret_cast<uintptr_t>(block);
  return block;
}

// Where `slot` is written in the chain.
uint32_t* find_in_chain(const Frame& frame, Locator slot) {
  for (LocatorBlock* block = chain_of(frame); block; block = block->next)
    for (uint32_t i = 0; i < block->count; i++)
      if (block->locators[i] == slot.raw()) return &block->locators[i];
  PANIC("reverse map: the slot is not known");
}

// A chain with so few locators that the record has room for them.
void compact(Frame& frame) {
  // In this order: who sees a table's count sees also that it is a table, which has no reverse map.
  uint32_t count = frame.map.load(memory_order_acquire);
  if (count == 0 || !frame.is_counted() || count > inline_capacity(frame) || reverse_is_inline(frame.reverse)) return;
  LocatorBlock* block = chain_of(frame);  // they fit into one block, and a chain has no empty ones
  frame.reverse = reverse_word(Locator(block->locators[0]));
  if (count == 2) frame.second = reverse_word(Locator(block->locators[1]));
  slab_free(block, sizeof(LocatorBlock));
}

}  // namespace

void reverse_maps_compact() {
  for (uint32_t number = 0; number < frame_table_size(); number++) {
    Frame& frame = frame_table[number];
    if (!frame.is_counted()) continue;
    FrameLock lock(frame);
    compact(frame);
  }
}

Result<void> reverse_map_add(Frame& frame, Locator slot) {
  uint32_t count = frame.map.load(memory_order_relaxed);
  if (count > 0 && !reverse_is_inline(frame.reverse)) {
    LocatorBlock* block = chain_of(frame);
    if (block->count == LocatorBlock::kLocators && !(block = push_block(frame, block))) return Errno::kNOMEM;
    block->locators[block->count++] = slot.raw();
  } else if (count == 0) {
    frame.reverse = reverse_word(slot);
  } else if (count < inline_capacity(frame)) {
    frame.second = reverse_word(slot);
  } else {
    Locator first = reverse_inline(frame.reverse);
    LocatorBlock* block = push_block(frame, nullptr);
    if (!block) return Errno::kNOMEM;
    block->locators[block->count++] = first.raw();
    if (count == 2) block->locators[block->count++] = reverse_inline(frame.second).raw();
    block->locators[block->count++] = slot.raw();
  }
  frame.map.store(count + 1, memory_order_relaxed);
  return {};
}

void reverse_map_remove_from_chain(Frame& frame, Locator slot) {
  // The hole is filled with the first block's last locator.
  LocatorBlock* head = chain_of(frame);
  uint32_t last = head->locators[head->count - 1];
  if (last != slot.raw()) *find_in_chain(frame, slot) = last;
  if (--head->count != 0) return;
  frame.reverse = reinterpret_cast<uintptr_t>(head->next);
  slab_free(head, sizeof(LocatorBlock));
}

void reverse_map_move(Frame& frame, Locator from, Locator to) {
  if (!reverse_is_inline(frame.reverse))
    *find_in_chain(frame, from) = to.raw();
  else if (frame.reverse == reverse_word(from))
    frame.reverse = reverse_word(to);
  else {
    ASSERT(frame.map.load(memory_order_relaxed) == 2 && frame.second == reverse_word(from));
    frame.second = reverse_word(to);
  }
}

}  // namespace faultline
