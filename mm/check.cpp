// See check.h. Each check names the invariant it states. M1 is checked in both directions: every slot is in its frame's reverse map, and
// every locator points back; with equal totals that leaves no duplicate.
#include "mm/check.h"

#include "mm/object_anonymous.h"
#include "mm/space_list.h"
#include "mm/swap_cache.h"

namespace faultline {
namespace {

#define CHECK(condition, message)     \
  do {                                \
    if (!(condition)) return message; \
  } while (0)

bool is_in_reverse_map(const Frame& frame, Locator slot) {
  return !reverse_map_for_each(frame, [&](Locator at) { return !(at == slot); });
}

// M4: each slot's entries are counted down to nothing while they are found, and then given back.
const char* count_entry(SwapSlot slot) {
  LockGuard guard(swap_lock);
  CHECK(swap_record_if_any(slot), "a swap entry names no slot");
  swap_record(slot).entries--;
  return nullptr;
}
void uncount_entry(SwapSlot slot) {
  LockGuard guard(swap_lock);
  if (swap_record_if_any(slot)) swap_record(slot).entries++;
}

const char* check_cached(FrameNumber number) {
  LockGuard guard(swap_lock);
  const Frame& frame = frame_record(number);
  CHECK(swap_record_if_any(frame_slot(frame)), "a frame caches no slot");
  CHECK(swap_record(frame_slot(frame)).frame == number.value(), "a slot does not know the frame that caches it");
  return nullptr;
}

const char* check_slot(FrameNumber table, uint32_t index, Pte pte, uint64_t& counted) {
  if (pte_is_swapped(pte)) return count_entry(pte_swap_slot(pte));
  CHECK(pte_has_frame(pte), "a slot that is neither present nor kept");
  CHECK(pte.frame().value() < frame_table_size(), "a slot names a frame that is no RAM");
  const Frame& frame = frame_record(pte.frame());
  if (!frame.is_counted()) {
    CHECK(pte.frame() == zero_page(), "a slot names a frame that is not for users");
    CHECK(!pte.is_present() || !pte.is_writable(), "the zero page is writable");
    return nullptr;
  }
  counted++;
  CHECK(is_in_reverse_map(frame, Locator(table, index)), "M1: a slot is missing in its frame's reverse map");
  bool is_writable = pte.is_present() && pte.is_writable();
  if (frame.use == FrameUse::kAnonymous) {
    CHECK(!pte_is_shared(pte), "an anonymous frame is mapped shared");
    CHECK(!is_writable || frame.map.load() == 1, "M3: a writable private entry, and its frame has other users");
    CHECK(!is_writable || frame.pins.load() == 0, "a loaned frame is writable");
    CHECK(!is_writable || !frame.is(kFrameResident), "M3: a writable page has a swap slot");
  } else {
    CHECK(!is_writable || pte_is_shared(pte), "M3: a private entry makes an object's frame writable");
  }
  return nullptr;
}

const char* check_table(FrameNumber table, uint64_t& counted) {
  const Frame& record = frame_record(table);
  uint32_t live = 0;
  uint64_t before = counted;
  for (uint32_t i = 0; i < kEntriesPerTable; i++) {
    Pte pte = pte_load(table_slots(table)[i]);
    if (pte.is_empty()) continue;
    live++;
    CHECK(record.groups & 1u << (i / kSlotsPerGroup), "a live slot in a group marked empty");
    if (const char* wrong = check_slot(table, i, pte, counted)) return wrong;
  }
  CHECK(live == record.table.live, "a table's count of live slots is wrong");
  CHECK(counted - before == record.reverse, "a table's count of resident pages is wrong");
  uint32_t directories = 0;
  space_list().for_each([&](AddressSpace& space) { directories += space.uses_table(table, record.table.directory); });
  CHECK(directories == record.map.load(), "M2: a table's count of directories is wrong");
  return nullptr;
}

const char* check_counted_frame(FrameNumber number, uint64_t& locators) {
  const Frame& frame = frame_record(number);
  const char* wrong = nullptr;
  uint32_t count = 0;
  reverse_map_for_each(frame, [&](Locator slot) {
    count++;
    if (frame_record(slot.table()).use != FrameUse::kPageTable)
      wrong = "M1: a locator names a frame that is no table";
    else if (Pte pte = pte_load(table_slots(slot.table())[slot.index()]); !pte_has_frame(pte) || pte.frame() != number)
      wrong = "M1: a locator names a slot that holds something else";
    return wrong == nullptr;
  });
  if (wrong) return wrong;
  locators += count;
  CHECK(count == frame.map.load(), "M1: map is not the number of locators");
  CHECK(!frame_is_unused(frame), "an unused frame was not freed");
  return frame_has_slot(frame) ? check_cached(number) : nullptr;
}

}  // namespace

class ObjectChecker {
 public:
  // Calls visit(slot) for each swap entry of every object's index.
  template <typename Visit>
  static void for_each_entry(Visit visit) NO_THREAD_SAFETY_ANALYSIS {
    for (Ref<Object> object = anonymous_objects().next(nullptr); object; object = anonymous_objects().next(std::move(object))) {
      uint32_t swapped = 0;
      for (uint32_t from = 0, index, value; object->pages_.next(from, index, value); from = index + 1)
        if (Object::is_swap_mark(value)) {
          visit(SwapSlot(value & ~Object::kSwapMark));
          swapped++;
        }
      ASSERT(swapped == object->swapped_);
    }
  }
  static const char* check_frame(const Frame& frame) NO_THREAD_SAFETY_ANALYSIS {
    if (!frame.is(kFrameResident)) return nullptr;
    const Object& object = *frame.object;
    CHECK(object.lookup_locked(PageIndex(frame.index)) == &frame, "an object's index does not have its frame");
    CHECK(!object.is_past_end_locked(PageIndex(frame.index)) || frame.pins.load() > 0, "a page past the end of its object");
    CHECK(frame.is_queued(), "an object's page is not on the reclaimer's queue");
    if (!object.source_) return nullptr;
    CHECK(!frame.is(kFrameDirty) || frame.is(kFrameTagged), "a dirty page is not tagged");
    CHECK(frame.is(kFrameTagged) == false || object.is_linked(), "an object with dirty pages is not on the list");
    bool may_dirty = !reverse_map_for_each(frame, [&](Locator at) {
      Pte pte = pte_load(table_slots(at.table())[at.index()]);
      return !pte_is_shared(pte) || !(pte.is_dirty() || (pte.is_present() && pte.is_writable()));
    });
    CHECK(!may_dirty || frame.is(kFrameTagged), "a page that may become dirty unnoticed");
    return nullptr;
  }
};

class SpaceChecker {
 public:
  static const char* check(AddressSpace& space) NO_THREAD_SAFETY_ANALYSIS {
    uint32_t pages = 0, promised = 0;
    for (Region* region = space.regions_.first(); region; region = RegionSet::next(*region)) {
      Region* next = RegionSet::next(*region);
      CHECK(region->start < region->end && region->start.is_page_aligned() && region->end.is_page_aligned(), "a malformed region");
      CHECK(!next || region->end <= next->start, "regions overlap");
      pages += region->pages();
      if (region->promised) promised += region->pages();
      CHECK(!region->needs_promise(region->protection), "writable memory that was not promised");
    }
    CHECK(promised == space.promised_pages_, "the count of promised pages is wrong");
    CHECK(pages == space.mapped_pages_, "the count of mapped pages is wrong");
    for (uint32_t i = 0; i < kKernelDirectoryIndex; i++) {
      Pte entry = pte_load(space.directory_slot(i));
      bool is_marked = space.tables_[i / 32].load() & 1u << i % 32;
      CHECK(is_marked == entry.is_present() && entry.is_present() == !entry.is_empty(), "the map of tables in use is wrong");
      if (!entry.is_present()) continue;
      const Frame& record = frame_record(entry.frame());
      CHECK(record.use == FrameUse::kPageTable && record.table.directory == i, "a directory entry names no table of its place");
      CHECK(!entry.is_writable() || record.map.load() == 1, "M3: a writable directory entry, and the table has other users");
      if (const char* wrong = check_entries(space, entry.frame())) return wrong;
    }
    return nullptr;
  }

 private:
  // Whatever a table says must be allowed by the regions of every space that uses it, even what a read-only directory entry masks.
  static const char* check_entries(AddressSpace& space, FrameNumber table) NO_THREAD_SAFETY_ANALYSIS {
    const char* wrong = nullptr;
    table_for_each(table, 0, kEntriesPerTable - 1, [&](uint32_t i, PteSlot&, Pte pte) {
      if (!wrong) wrong = check_entry(space, slot_address(frame_record(table), i), pte);
    });
    return wrong;
  }
  static const char* check_entry(AddressSpace& space, VirtAddr page, Pte pte) NO_THREAD_SAFETY_ANALYSIS {
    const Region* region = space.regions_.find(page);
    CHECK(region, "an entry outside every region");
    if (pte_is_swapped(pte)) {
      CHECK(!region->shared, "a swap entry in a shared region");
      return nullptr;
    }
    bool lacks_mark = !pte.is_present() && !pte_is_locked(pte);  // fetched by swap_off(): the next touch gives it
    CHECK(pte_is_locked(pte) == region->is_locked() || lacks_mark, "an entry is locked otherwise than its region");
    CHECK(!pte.is_present() || region->protection != kProtNone, "a present entry in a PROT_NONE region");
    CHECK(!pte.is_present() || !pte.is_writable() || (region->protection & kProtWrite), "a writable entry in a read-only region");
    CHECK(pte_is_shared(pte) == region->shared, "an entry's sharing is not its region's");
    const Frame& frame = frame_record(pte.frame());
    if (frame.use == FrameUse::kObject)
      CHECK(region->object && frame.object == region->object.get() && frame.index == region->index_of(page).value(),
            "an entry maps another page than its region says");
    if (pte.frame() == zero_page()) CHECK(!region->object, "the zero page in a mapping of an object");
    return nullptr;
  }
};

namespace {

const char* check_frames() {
  uint64_t slots = 0, locators = 0;
  for (uint32_t i = 0; i < frame_table_size(); i++) {
    FrameNumber number(i);
    const Frame& frame = frame_record(number);
    const char* wrong = nullptr;
    if (frame.use == FrameUse::kFree)
      CHECK(frame.map.load() == 0 && frame.pins.load() == 0 && !frame.is_queued(), "M6: a free frame has users");
    else if (frame.use == FrameUse::kPageTable)
      wrong = check_table(number, slots);
    else if (frame.is_counted())
      wrong = check_counted_frame(number, locators);
    if (!wrong && frame.use == FrameUse::kObject) wrong = ObjectChecker::check_frame(frame);
    if (wrong) return wrong;
  }
  CHECK(slots == locators, "M1: more locators than slots");
  return nullptr;
}

// Takes back what counting has done to the slots.
void restore_counts() {
  for (uint32_t i = 0; i < frame_table_size(); i++) {
    if (frame_table[i].use != FrameUse::kPageTable) continue;
    table_for_each(FrameNumber(i), 0, kEntriesPerTable - 1, [](uint32_t, PteSlot&, Pte pte) {
      if (pte_is_swapped(pte)) uncount_entry(pte_swap_slot(pte));
    });
  }
  ObjectChecker::for_each_entry(&uncount_entry);
}

}  // namespace

const char* mm_check_invariants() {
  const char* wrong = check_frames();
  if (wrong) return wrong;
  ObjectChecker::for_each_entry([&](SwapSlot slot) { wrong = wrong ? wrong : count_entry(slot); });
  if (!wrong) wrong = swap_slots_check();
  if (wrong) return wrong;
  restore_counts();
  space_list().for_each([&](AddressSpace& space) {
    if (!wrong) wrong = SpaceChecker::check(space);
  });
  return wrong;
}

}  // namespace faultline
