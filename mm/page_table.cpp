// Sharing, copying and ending page tables: see page_table.h.
#include "mm/page_table.h"

#include "mm/reclaim.h"
#include "mm/swap_cache.h"

namespace faultline {

using machine::Bug;
using machine::planted;

namespace {

// A private writable entry gets a second user: W goes, in the old table too. Returns the entry for both.
Pte lower_for_copy(PteSlot& slot, Pte pte, VirtAddr address, FlushBatch* batch) {
  if (!pte.is_present() || !pte.is_writable() || pte_is_shared(pte)) return pte;
  if (planted(Bug::kWritableLeftOnUnshare)) return pte.without(Pte::kWritable);
  pte = Pte(slot.fetch_and(~Pte::kWritable, memory_order_seq_cst)).without(Pte::kWritable);
  if (batch) batch->add(address);
  return pte;
}

void forget_locators(FrameNumber table, uint32_t end) {
  if (end == 0) return;
  table_for_each(table, 0, end - 1, [&](uint32_t index, PteSlot& slot, Pte pte) {
    pte_store(slot, Pte());
    if (pte_is_swapped(pte)) return swap_entry_drop(pte_swap_slot(pte));
    if (!frame_record(pte.frame()).is_counted()) return;
    FrameLock lock(frame_record(pte.frame()));
    reverse_map_remove(frame_record(pte.frame()), Locator(table, index));
  });
}

// Entries that the page cache can bring back at a minor fault, and that nobody has used, are not worth their place in a copy. No TLB holds
// them, so leaving them behind needs no flush.
bool is_worth_copying(Pte pte, const Frame& frame) { return frame.use != FrameUse::kObject || pte_may_be_in_tlb(pte); }

// A new table with the old one's entries, each counted; private ones writable in neither. Those that lost W go to `batch`, which is
// null if a read-only directory entry has masked them. Under the old table's lock.
Result<FrameNumber> copy_locked(FrameNumber old, FlushBatch* batch) {
  FrameNumber copy = TRY(table_create(frame_record(old).table.directory));
  Frame& record = frame_record(copy);
  SecondTableLock lock(record);
  PteSlot* slots = table_slots(copy).data();
  bool failed = false;
  uint32_t failed_at = 0, live = 0, counted = 0;
  table_for_each(old, 0, kEntriesPerTable - 1, [&](uint32_t index, PteSlot& slot, Pte pte) {
    if (failed) return;
    if (pte_is_swapped(pte)) {
      if (!planted(Bug::kSlotNotCountedAtCopy)) swap_entry_add(pte_swap_slot(pte));
      live++;
      return pte_store(slots[index], pte);
    }
    Frame& frame = frame_record(pte.frame());
    if (!is_worth_copying(pte, frame)) return;
    pte = lower_for_copy(slot, pte, slot_address(record, index), batch);
    pte_store(slots[index], pte);
    live++;
    if (!frame.is_counted()) return;
    NestedFrameLock frame_lock(frame);
    counted++;
    if (reverse_map_add_second(frame, Locator(copy, index)) || reverse_map_add(frame, Locator(copy, index)).ok()) return;
    pte_store(slots[index], Pte());
    failed = true;
    failed_at = index;
  });
  record.table.live = static_cast<uint16_t>(live);
  record.reverse = counted;
  record.groups = frame_record(old).groups;
  if (!failed) return copy;
  forget_locators(copy, failed_at);
  record.reverse = 0;
  record.map.store(0, memory_order_relaxed);
  frame_free_zeroed(copy);
  return Errno::kNOMEM;
}

// The other entries keep W below a directory entry that loses it, so every TLB entry that has it must go.
void add_writable(FrameNumber table, FlushBatch& batch) {
  const Frame& record = frame_record(table);
  batch.add(slot_address(record, 0));
  table_for_each(table, 0, kEntriesPerTable - 1, [&](uint32_t index, PteSlot&, Pte pte) {
    if (pte.is_present() && pte.is_writable()) batch.add(slot_address(record, index));
    return !batch.is_everything();
  });
}

// Inline in the loops over a table.
[[gnu::always_inline]] inline void release(Frame& table, PteSlot& slot, uint32_t index, Frame& frame) {
  Pte old = pte_load(slot);
  pte_store(slot, Pte());
  table.table.live--;
  table.reverse--;
  if (pte_is_shared(old) && old.is_dirty() && !planted(Bug::kDirtyLostAtUnmap)) frame.set(kFrameDirty);
  Locator locator(frame_number(table), index);
  reverse_map_remove(frame, locator);
}

[[gnu::always_inline]] inline void drop(Frame& table, PteSlot& slot, uint32_t index, FreeBatch& unused) {
  Pte old = pte_load(slot);
  if (pte_is_swapped(old) || !frame_record(old.frame()).is_counted()) {
    pte_store(slot, Pte());
    table.table.live--;
    if (pte_is_swapped(old)) swap_entry_drop(pte_swap_slot(old));
    return;
  }
  Frame& frame = frame_record(old.frame());
  bool is_unused;
  {
    NestedFrameLock lock(frame);
    release(table, slot, index, frame);
    is_unused = frame_let_go(frame);
  }
  if (!is_unused) return;
  reclaim_dequeue(frame);
  unused.add(frame);
}

}  // namespace

Result<FrameNumber> table_create(uint32_t directory_index) {
  FrameNumber table = TRY(frame_allocate(FrameUse::kPageTable, Zeroing::kZeroed));
  Frame& record = frame_record(table);
  record.table.live = 0;
  record.table.directory = static_cast<uint16_t>(directory_index);
  record.map.store(1, memory_order_release);  // see table_is_alive()
  return table;
}

bool table_has_only(FrameNumber table, uint32_t first, uint32_t last) {
  bool found = false;
  auto look = [&](uint32_t, PteSlot&, Pte) { return !(found = true); };
  if (first > 0) table_for_each(table, 0, first - 1, look);
  if (!found && last < kEntriesPerTable - 1) table_for_each(table, last + 1, kEntriesPerTable - 1, look);
  return !found;
}

uint32_t table_count(FrameNumber table, uint32_t first, uint32_t last) {
  uint32_t count = 0;
  table_for_each(table, first, last, [&](uint32_t, PteSlot&, Pte) { count++; });
  return count;
}

void slot_hide(Frame& table, PteSlot& slot, uint32_t index, FlushBatch& batch) {
  Pte old = pte_load(slot);
  while (old.is_present() && !pte_compare_exchange(slot, old, pte_hidden(old))) {
  }
  if (old.is_present() && !planted(Bug::kUnmapWithoutFlush)) batch.add(slot_address(table, index));
}

void slots_hide(FrameNumber table, uint32_t first, uint32_t last, FlushBatch& batch) {
  Frame& record = frame_record(table);
  table_for_each(table, first, last, [&](uint32_t i, PteSlot& slot, Pte) { slot_hide(record, slot, i, batch); });
}

void slots_write_protect(FrameNumber table, uint32_t first, uint32_t last, FlushBatch& batch) {
  const Frame& record = frame_record(table);
  PteSlot* slots = table_slots(table).data();
  table_for_each_part(table, first, last, [&](uint32_t from, uint32_t to) {
    const PteSlot* end = slots + to + 1;
    for (PteSlot* slot = slots + from; slot != end; slot++) {
      if (!pte_allows_writing(pte_load(*slot))) continue;
      PteSlot* start = slot;  // of neighbours that are flushed as one range
      do slot->fetch_and(~Pte::kWritable, memory_order_seq_cst);
      while (++slot != end && pte_allows_writing(pte_load(*slot)));
      if (!planted(Bug::kProtectWithoutFlush)) batch.add(slot_address(record, uint32_t(start - slots)), uint32_t(slot - start));
      if (slot == end) break;
    }
    return true;
  });
}

bool slot_hide_unused(PteSlot& slot) {
  Pte old = pte_load(slot);
  do {
    if (pte_is_locked(old) || (old.is_present() && old.is_accessed())) return false;
  } while (old.is_present() && !pte_compare_exchange(slot, old, pte_hidden(old)));
  return true;
}

void slot_swap_out(Frame& table, PteSlot& slot, uint32_t index, Frame& frame) {
  swap_entry_add(frame_slot(frame));
  pte_store(slot, pte_swapped(frame_slot(frame)));
  table.reverse--;
  reverse_map_remove(frame, Locator(frame_number(table), index));
}

Result<void> slot_swap_in(Frame& table, PteSlot& slot, uint32_t index, Frame& frame, Pte pte) {
  TRY(reverse_map_add(frame, Locator(frame_number(table), index)));
  pte_store(slot, pte);
  table.reverse++;
  swap_entry_turned(frame);
  return {};
}

void slot_release(Frame& table, PteSlot& slot, uint32_t index, Frame& frame) { release(table, slot, index, frame); }
void slot_drop(Frame& table, PteSlot& slot, uint32_t index, FreeBatch& unused) { drop(table, slot, index, unused); }

void slots_drop(FrameNumber table, uint32_t first, uint32_t last) {
  Frame& record = frame_record(table);
  FreeBatch unused;
  uint32_t alone = 0;
  table_for_each(table, first, last, [&](uint32_t index, PteSlot& slot, Pte pte) {
    if (pte_is_swapped(pte)) return drop(record, slot, index, unused);
    Frame& frame = frame_record(pte.frame());
    if (!frame_is_ours_alone(frame)) return drop(record, slot, index, unused);
    pte_store(slot, Pte());
    frame.map.store(0, memory_order_relaxed);
    unused.add(frame);
    alone++;
  });
  record.table.live = static_cast<uint16_t>(record.table.live - alone);
  record.reverse -= alone;
}

Result<void> table_make_sole(PteSlot& directory_slot, const Atomic<CpuMask>& cpus) {
  for (;;) {
    Pte entry = pte_load(directory_slot);
    if (!entry.is_present() || entry.is_writable()) return {};
    Frame& record = frame_record(entry.frame());
    TableLock lock(record);
    const bool is_same = pte_load(directory_slot).without(Pte::kAccessed) == entry.without(Pte::kAccessed);
    if (!is_same && !planted(Bug::kUnshareUnchecked)) continue;
    if (record.map.load(memory_order_relaxed) == 1 || planted(Bug::kSharedTableSole)) {
      directory_slot.fetch_or(Pte::kWritable, memory_order_seq_cst);
      return {};
    }
    // The flush stands before the count goes down: the old table lives until no directory cache names it.
    FlushBatch batch(cpus);
    FrameNumber copy = TRY(copy_locked(entry.frame(), nullptr));
    pte_exchange(directory_slot, pde_sole(copy));
    // Threads of this space on other processors used the old table until now: they may have loaded what the copy left out, or what has no A in
    // it. So they forget all of it.
    const bool is_alone = (cpus.load(memory_order_relaxed) & ~cpu_bit(this_cpu())) == 0;
    if (!planted(Bug::kNoFlushAfterDirectoryChange)) batch.add(slot_address(record, 0), is_alone ? 1 : kFlushAllThreshold + 1);
    batch.flush();
    record.map.store(record.map.load(memory_order_relaxed) - 1, memory_order_relaxed);
    return {};
  }
}

void table_share(PteSlot& parent_slot, PteSlot& child_slot, FlushBatch& batch) {
  Pte entry = pte_load(parent_slot);
  Frame& record = frame_record(entry.frame());
  TableLock lock(record);
  record.map.store(record.map.load(memory_order_relaxed) + 1, memory_order_relaxed);
  pte_store(child_slot, pde_shared(entry.frame()));
  if (!entry.is_writable()) return;
  parent_slot.fetch_and(~Pte::kWritable, memory_order_seq_cst);
  if (!planted(Bug::kForkWithoutFlush)) add_writable(entry.frame(), batch);
}

Result<void> table_copy(PteSlot& parent_slot, PteSlot& child_slot, FlushBatch& batch) {
  FrameNumber table = pte_load(parent_slot).frame();
  TableLock lock(frame_record(table));
  FrameNumber copy = TRY(copy_locked(table, &batch));
  pte_store(child_slot, pde_sole(copy));
  return {};
}

uint32_t table_drop(FrameNumber table) {
  Frame& record = frame_record(table);
  uint32_t counted;
  {
    TableLock lock(record);
    counted = static_cast<uint32_t>(record.reverse);
    uint32_t users = record.map.load(memory_order_relaxed) - 1;
    if (users > 0) {
      record.map.store(users, memory_order_relaxed);
      return counted;
    }
    slots_drop(table, 0, kEntriesPerTable - 1);
    record.map.store(0, memory_order_relaxed);
  }
  frame_free_zeroed(table);
  return counted;
}

}  // namespace faultline
