// Page-table pages: frames like any other, counted (`map` = directory entries that name it, M2) and shared copy-on-write between
// the directories of a fork (xv6: walkpgdir and copyuvm, for 4 MiB at a time).
//
// A directory entry without W may name a shared table: the table is immutable then (M7), and who wants to change it first
// makes its own copy. The entries of a shared table may keep W: the directory entry masks it.
#pragma once

#include <machine/planted_bugs.h>

#include <type_traits>

#include "lib/result.h"
#include "mm/frame.h"
#include "mm/pte.h"
#include "mm/reverse_map.h"
#include "mm/tlb_flush.h"

namespace faultline {

inline constexpr uint32_t kSlotsPerGroup = 32;

inline VirtAddr table_start(uint32_t directory_index) { return VirtAddr(directory_index << 22); }
inline VirtAddr slot_address(const Frame& table, uint32_t index) {
  return VirtAddr(uint32_t{table.table.directory} << 22 | index << kPageShift);
}

// An empty table for one directory. kNOMEM.
Result<FrameNumber> table_create(uint32_t directory_index);

// For who comes by frame number and not through a directory, under the frame's lock: whether it is a table, whole, that nobody ends meanwhile.
// `map` tells it, which is set when a table is made and cleared under the lock when it ends: `use` changes without the lock.
inline bool table_is_alive(const Frame& frame) { return frame.map.load(memory_order_acquire) != 0 && frame.use == FrameUse::kPageTable; }

// An empty slot gets its entry; kCounted if its frame is (Frame::is_counted). Under the table's lock.
enum class FrameKind : uint8_t { kUncounted, kCounted };
inline void slot_fill(Frame& table, PteSlot& slot, uint32_t index, Pte pte, FrameKind kind) {
  pte_store(slot, pte);
  table.table.live++;
  table.reverse += kind == FrameKind::kCounted;
  table.groups |= 1u << (index / kSlotsPerGroup);
}

// For who has stored several counted entries into empty slots of the group that `index` is in.
inline void table_count_filled(Frame& table, uint32_t index, uint32_t slots) {
  table.table.live = static_cast<uint16_t>(table.table.live + slots);
  table.reverse += slots;
  table.groups |= 1u << (index / kSlotsPerGroup);
}

// Calls visit(from, to) for the parts of first..last (inclusive) outside which all slots are empty, until it returns false. Under the
// table's lock, or alone.
template <typename Visit>
void table_for_each_part(FrameNumber table, uint32_t first, uint32_t last, Visit visit) {
  const Frame& record = frame_record(table);
  for (uint32_t group = first / kSlotsPerGroup; group <= last / kSlotsPerGroup; group++) {
    if (!(record.groups & 1u << group)) continue;
    const uint32_t from = group * kSlotsPerGroup, to = from + kSlotsPerGroup - 1;
    if (!visit(from < first ? first : from, to > last ? last : to)) return;
  }
}

// Calls visit(index, slot, pte) for every slot of first..last (inclusive) that is not empty, until it returns false if it returns
// anything. Under the table's lock, or alone.
template <typename Visit>
void table_for_each(FrameNumber table, uint32_t first, uint32_t last, Visit visit) {
  PteSlot* slots = table_slots(table).data();
  table_for_each_part(table, first, last, [&](uint32_t from, uint32_t to) {
    for (uint32_t i = from; i <= to; i++) {
      Pte pte = pte_load(slots[i]);
      if (pte.is_empty()) continue;
      if constexpr (std::is_same_v<decltype(visit(i, slots[i], pte)), bool>) {
        if (!visit(i, slots[i], pte)) return false;
      } else {
        visit(i, slots[i], pte);
      }
    }
    return true;
  });
}

// Whether no slot outside first..last is live.
bool table_has_only(FrameNumber table, uint32_t first, uint32_t last);
// The live slots among first..last.
uint32_t table_count(FrameNumber table, uint32_t first, uint32_t last);

// Takes the entry away from the processor but leaves the frame in it (kept): the first half of every removal. D of a shared
// entry moves on with it. Under the table's lock.
void slot_hide(Frame& table, PteSlot& slot, uint32_t index, FlushBatch& batch);
void slots_hide(FrameNumber table, uint32_t first, uint32_t last, FlushBatch& batch);
// Present entries of first..last lose W. Under the table's lock.
void slots_write_protect(FrameNumber table, uint32_t first, uint32_t last, FlushBatch& batch);
// As slot_hide for an entry that is in no TLB as long as its A is clear. False: it is set, or the page is locked in memory.
bool slot_hide_unused(PteSlot& slot);
// Ends an entry that no TLB can hold any more: a counted frame loses this user, and goes to `unused` if that was the last; D reaches an
// object's frame. Under the table's lock.
void slot_drop(Frame& table, PteSlot& slot, uint32_t index, FreeBatch& unused);
// All live slots of first..last.
void slots_drop(FrameNumber table, uint32_t first, uint32_t last);
// A hidden entry of a frame that has a swap slot becomes one that names the slot: the frame loses this user. And back: a swap entry becomes
// `pte`, which names the frame that caches its slot; kNOMEM. Under the locks of table and frame.
void slot_swap_out(Frame& table, PteSlot& slot, uint32_t index, Frame& frame);
Result<void> slot_swap_in(Frame& table, PteSlot& slot, uint32_t index, Frame& frame, Pte pte);
// As slot_drop for a counted frame whose lock is held: it may have lost its last user.
void slot_release(Frame& table, PteSlot& slot, uint32_t index, Frame& frame);

// Makes the table below a present directory entry this directory's own and the entry writable. Flushes what must be
// before it returns. Called with the space held. kNOMEM: nothing changed.
Result<void> table_make_sole(PteSlot& directory_slot, const Atomic<CpuMask>& cpus);

// fork: the child's directory gets the parent's table, shared. Entries that were writable go to the batch.
void table_share(PteSlot& parent_slot, PteSlot& child_slot, FlushBatch& batch);
// fork, for a table that will be written at once: the child gets a copy. kNOMEM.
Result<void> table_copy(PteSlot& parent_slot, PteSlot& child_slot, FlushBatch& batch);

// One directory fewer uses the table; the last one drops its entries and frees it. The directory entry is gone and flushed,
// or its directory can never be loaded again. Returns how many of its slots named counted frames.
uint32_t table_drop(FrameNumber table);

}  // namespace faultline
