// Areas come and go. Taking one out of use means finding every entry that names it: those in page tables by going through all tables, those of
// shared memory by going through its objects. New ones can only be copies of old ones, so going round ends.
#include "lib/scheduling.h"
#include "mm/object_anonymous.h"
#include "mm/page_table.h"
#include "mm/reclaim.h"
#include "mm/space.h"
#include "mm/swap_cache.h"

namespace faultline {

namespace {

// Private pages are not queued as long as there is nowhere to put them. Whoever is mapped now is found in the tables; whoever comes later queues
// itself (swap_is_on).
void enqueue_anonymous_pages() {
  for (uint32_t number = 0; number < frame_table_size(); number++) {
    if (frame_table[number].use != FrameUse::kPageTable) continue;
    TableLock lock(frame_table[number]);
    if (!table_is_alive(frame_table[number])) continue;
    table_for_each(FrameNumber(number), 0, kEntriesPerTable - 1, [](uint32_t, PteSlot&, Pte pte) {
      if (pte_has_frame(pte) && frame_record(pte.frame()).use == FrameUse::kAnonymous) reclaim_enqueue(frame_record(pte.frame()));
    });
  }
}

// A signal has come.
bool is_interrupted() {
  auto slept = block(SleepKind::kInterruptible, Deadline{0});
  return !slept.ok() && slept.error() == Errno::kINTR;
}

// The entry, if it is still the one that names `slot`, gets the frame that caches that: kept, since only a fault knows what its region allows.
// kAGAIN: the page has to be read, or waited for (`busy`).
Result<void> fetch_entry_locked(Frame& table, uint32_t index, SwapSlot slot, const Frame*& busy) {
  PteSlot& entry = table_slots(frame_number(table))[index];
  if (pte_load(entry) != pte_swapped(slot)) return {};
  Frame* frame = swap_cache_lock(slot);
  if (!frame) return Errno::kAGAIN;
  Result<void> result;
  if (frame->is(kFrameBusy)) {
    busy = frame;
    result = Errno::kAGAIN;
  } else {
    result = slot_swap_in(table, entry, index, *frame, pte_hidden(pte_readable(frame_number(*frame)).with(Pte::kDirty)));
    if (result.ok()) {
      entries_lost.fetch_add(1, memory_order_relaxed);  // the spaces that have the table count anew
      swap_cache_leave(*frame);
    }
  }
  frame_unlock(*frame);
  return result;
}

Result<void> fetch_entry(Frame& table, uint32_t index, SwapSlot slot) {
  for (;;) {
    const Frame* busy = nullptr;
    Result<void> result;
    {
      TableLock lock(table);
      if (!table_is_alive(table)) return {};
      result = fetch_entry_locked(table, index, slot, busy);
    }
    if (result.ok() || result.error() != Errno::kAGAIN) return result;
    if (busy) {
      frame_wait(*busy, kFrameBusy);
      continue;
    }
    if (is_interrupted()) return Errno::kINTR;
    auto read = swap_read(slot);
    if (!read.ok() && (read.error() != Errno::kNOMEM || !reclaim_with_write_back())) return read;
  }
}

// The first entry from `index` on that names the area.
bool find_entry(Frame& table, uint32_t area, uint32_t& index, SwapSlot& slot) {
  TableLock lock(table);
  if (!table_is_alive(table)) return false;
  bool found = false;
  table_for_each(frame_number(table), index, kEntriesPerTable - 1, [&](uint32_t at, PteSlot&, Pte pte) {
    if (!pte_is_swapped(pte) || pte_swap_slot(pte).area() != area) return true;
    index = at;
    slot = pte_swap_slot(pte);
    found = true;
    return false;
  });
  return found;
}

Result<void> fetch_from_tables(uint32_t area) {
  for (uint32_t number = 0; number < frame_table_size(); number++) {
    Frame& table = frame_table[number];
    if (table.use != FrameUse::kPageTable) continue;
    if (is_interrupted()) return Errno::kINTR;
    SwapSlot slot;
    for (uint32_t index = 0; index < kEntriesPerTable && find_entry(table, area, index, slot); index++)
      TRY(fetch_entry(table, index, slot));
  }
  return {};
}

Result<void> fetch_from_objects(uint32_t area) {
  for (Ref<Object> object = anonymous_objects().next(nullptr); object; object = anonymous_objects().next(std::move(object))) {
    if (is_interrupted()) return Errno::kINTR;
    TRY(AnonymousObjects::fetch_all(*object, area));
  }
  return {};
}

// Frames whose slots no entry names any more give them up.
void part_from_slots(uint32_t area) {
  for (uint32_t number = 0; number < frame_table_size(); number++) {
    Frame& frame = frame_table[number];
    if (!frame_has_slot(frame)) continue;
    bool is_unused = false;
    {
      FrameLock lock(frame);
      if (frame_has_slot(frame) && frame_slot(frame).area() == area && swap_cache_leave(frame)) is_unused = frame_let_go(frame);
    }
    if (is_unused) frame_free(FrameNumber(number));
  }
}

Result<void> fetch_everything(uint32_t area) {
  while (!swap_area_remove(area)) {
    TRY(fetch_from_tables(area));
    TRY(fetch_from_objects(area));
    part_from_slots(area);
    yield();  // I/O that is under way holds slots as well
  }
  return {};
}

}  // namespace

Result<uint32_t> swap_add(SwapStore& store, uint32_t pages, std::span<const uint32_t> bad, int32_t priority) {
  uint32_t area = TRY(swap_slots_add(store, pages, bad, priority));
  enqueue_anonymous_pages();
  return area;
}

Result<void> swap_remove(uint32_t area) {
  if (!swap_area_close(area)) return Errno::kINVAL;
  Result<void> result = fetch_everything(area);
  if (result.ok()) return {};
  swap_area_reopen(area);
  enqueue_anonymous_pages();  // those that were made meanwhile, if there was nowhere to put them
  return result;
}

}  // namespace faultline
