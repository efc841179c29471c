// Accounting: what each entry leads to and who else sees it, counted for /proc (smaps, pagemap, pagetables). Exact for the moment in which
// an entry's table is locked, and no longer.
#include "mm/space.h"
#include "mm/swap_slots.h"

namespace faultline {

namespace {

// How many spaces see the frame through its entries. An entry counts as often as its table has directories: after a fork the page has one
// entry and two users.
uint32_t users_of(Frame& frame, const Frame& table) {
  if (!frame.is_counted()) return 0;
  NestedFrameLock lock(frame);
  uint32_t here = table.map.load(memory_order_relaxed);
  if (frame.map.load(memory_order_relaxed) == 1) return here;
  uint32_t users = 0;
  reverse_map_for_each(frame, [&](Locator at) {
    users += frame_record(at.table()).map.load(memory_order_relaxed);
    return true;
  });
  return users;
}

// The same of a page in swap. Where the slot's other entries are is not known: each counts as one.
uint32_t users_of_swapped(SwapSlot slot, const Frame& table) {
  LockGuard guard(swap_lock);
  return swap_record(slot).entries - 1 + table.map.load(memory_order_relaxed);
}

void count_entry(RegionStatistics& sum, Pte pte, Frame& table) {
  if (pte_is_swapped(pte)) {
    sum.swapped++;
    sum.swapped_proportional += RegionStatistics::kWhole / users_of_swapped(pte_swap_slot(pte), table);
  }
  if (!pte_has_frame(pte)) return;
  Frame& frame = frame_record(pte.frame());
  if (!frame.is_counted()) return;
  uint32_t users = users_of(frame, table);
  bool is_dirty = pte.is_dirty() || (frame.use == FrameUse::kObject && frame.is(kFrameDirty));
  sum.resident++;
  sum.proportional += RegionStatistics::kWhole / (users > 0 ? users : 1);
  if (frame.use == FrameUse::kAnonymous) sum.anonymous++;
  if (pte.is_accessed()) sum.referenced++;
  uint32_t& kind = users > 1 ? (is_dirty ? sum.shared_dirty : sum.shared_clean) : (is_dirty ? sum.private_dirty : sum.private_clean);
  kind++;
}

}  // namespace

RegionView region_view(const Region& region) {
  return {.start = region.start,
          .end = region.end,
          .protection = region.protection,
          .max_protection = region.max_protection,
          .shared = region.shared,
          .grows_down = region.grows_down,
          .locked = region.is_locked(),
          .no_reserve = region.no_reserve,
          .kind = region.kind,
          .object_offset = region.object_offset,
          .backing = region.backing.get()};
}

void AddressSpace::for_each_region(bool (*visit)(const RegionView&, void* context), void* context) {
  SharedLockGuard guard(lock_);
  for (Region* region = regions_.first(); region; region = RegionSet::next(*region))
    if (!visit(region_view(*region), context)) return;
}

void AddressSpace::visit_region(VirtAddr address, void (*visit)(const RegionView&, void* context), void* context) {
  SharedLockGuard guard(lock_);
  if (Region* region = regions_.find(address)) visit(region_view(*region), context);
}

Atomic<uint32_t> entries_lost{0};

namespace {
// It may be replaced this moment, and the frame be something else.
READS_WITHOUT_LOCK uint32_t counted_entries(const Frame& table) {
  const auto entries = static_cast<uint32_t>(table.reverse);
  return table.use == FrameUse::kPageTable && entries <= kEntriesPerTable ? entries : 0;
}
}  // namespace

uint32_t AddressSpace::recount_resident() {
  losses_seen_.store(entries_lost.load(memory_order_relaxed), memory_order_relaxed);
  uint32_t pages = 0;
  for_each_table(0, kKernelDirectoryIndex - 1,
                 [&](uint32_t index) { pages += counted_entries(frame_record(pte_load(directory_slot(index)).frame())); });
  resident_.store(pages, memory_order_relaxed);
  return pages;
}

RegionStatistics AddressSpace::count_region(const Region& region) const {
  RegionStatistics sum;
  // As Linux: all that the object has in swap, if it is mapped whole.
  if (region.shared && region.object && region.object_offset == PageIndex(0) && pages_for(region.object->size()) <= region.pages())
    sum.swapped = region.object->swapped_pages();
  for_each_table_within(region.start, region.end, [&](uint32_t index, uint32_t from, uint32_t to) {
    Pte entry = pte_load(directory_slot(index));
    if (!entry.is_present()) return;
    Frame& table = frame_record(entry.frame());
    TableLock lock(table);
    if (!uses_table(entry.frame(), index)) return;  // replaced meanwhile: rare, and the next reading is right
    table_for_each(entry.frame(), from, to, [&](uint32_t, PteSlot&, Pte pte) { count_entry(sum, pte, table); });
  });
  return sum;
}

void AddressSpace::for_each_region_counted(bool (*visit)(const RegionView&, const RegionStatistics&, void* context), void* context) {
  SharedLockGuard guard(lock_);
  for (Region* region = regions_.first(); region; region = RegionSet::next(*region))
    if (!visit(region_view(*region), count_region(*region), context)) return;
}

EntryView AddressSpace::view_directory_entry(uint32_t index) {
  SharedLockGuard guard(lock_);
  Pte entry = pte_load(directory_slot(index));
  if (!entry.is_present() || index >= kKernelDirectoryIndex) return {entry, 0, FrameUse::kKernel};
  Frame& table = frame_record(entry.frame());
  return {entry, table.map.load(memory_order_relaxed), table.use};
}

EntryView AddressSpace::view_entry(VirtAddr page) {
  SharedLockGuard guard(lock_);
  Pte entry = directory_entry(page);
  if (!entry.is_present() || (entry.raw() & Pte::kLarge)) return {};
  PteSlot& slot = table_slots(entry.frame())[page.table_index()];
  if (!page.is_user()) return {pte_load(slot), 0, FrameUse::kKernel};
  Frame& table = frame_record(entry.frame());
  TableLock lock(table);
  if (directory_entry(page).frame() != entry.frame()) return {};
  Pte pte = pte_load(slot);
  if (!pte_has_frame(pte)) return {pte, 0, FrameUse::kFree};
  Frame& frame = frame_record(pte.frame());
  return {pte, users_of(frame, table), frame.use};
}

}  // namespace faultline
