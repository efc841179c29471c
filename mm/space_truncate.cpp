// Truncation takes away private copies of what is past the file's new end, as mmap(2) has it: the next touch is SIGBUS. They are in no
// object, so all spaces are looked at, but only if the object's pages have been copied at all.
#include "mm/space_list.h"

namespace faultline {

void SpaceList::add(AddressSpace& space) {
  LockGuard guard(lock_);
  list_.push_back(space);
}

void SpaceList::remove(AddressSpace& space) {
  LockGuard guard(lock_);
  if (static_cast<ListNode<AllSpaces>&>(space).is_linked()) list_.remove(space);
}

Ref<AddressSpace> SpaceList::next(Ref<AddressSpace> previous) {
  LockGuard guard(lock_);
  AddressSpace* space = previous ? list_.next(*previous) : list_.front();
  while (space && !space->try_acquire()) space = list_.next(*space);
  return Ref<AddressSpace>::adopt(space);  // `previous` goes when the lock has gone: the argument outlives the body
}

// The directory is asked, not the map of tables in use: a table that another thread has just made may not be in that yet.
void AddressSpace::drop_pages(VirtAddr start, VirtAddr end) {
  VirtAddr last = end - 1;
  for (uint32_t index = start.directory_index(); index <= last.directory_index(); index++) {
    uint32_t from = index == start.directory_index() ? start.table_index() : 0;
    uint32_t to = index == last.directory_index() ? last.table_index() : kEntriesPerTable - 1;
    for (;;) {
      Pte entry = pte_load(directory_slot(index));
      if (!entry.is_present()) break;
      Frame& record = frame_record(entry.frame());
      TableLock lock(record);
      if (pte_load(directory_slot(index)).frame() != entry.frame()) continue;  // another thread has un-shared it
      // Those who share the table map the same page of the same file here, and lose it too: all CPUs are told.
      FlushBatch batch;
      slots_hide(entry.frame(), from, to, batch);
      batch.flush();
      uint32_t before = static_cast<uint32_t>(record.reverse);
      slots_drop(entry.frame(), from, to);
      count_resident(static_cast<int32_t>(static_cast<uint32_t>(record.reverse) - before));
      break;
    }
  }
}

bool AddressSpace::drop_copies(const Object& object, PageIndex first) {
  SharedLockGuard guard(lock_);
  bool is_mapped = false;
  for (Region* region = regions_.first(); region; region = RegionSet::next(*region)) {
    if (region->shared || region->object.get() != &object) continue;
    is_mapped = true;
    uint32_t kept = first > region->object_offset ? first.value() - region->object_offset.value() : 0;
    if (kept < region->pages()) drop_pages(region->start + kept * kPageSize, region->end);
  }
  return is_mapped;
}

void Object::drop_copies(PageIndex first) {
  {
    LockGuard guard(lock_);
    if (!is_copied_) return;
    is_copied_ = false;  // from here on a copy sets it again
  }
  bool is_mapped = false;
  for (Ref<AddressSpace> space = space_list().next(nullptr); space; space = space_list().next(std::move(space)))
    is_mapped |= space->drop_copies(*this, first);
  LockGuard guard(lock_);
  is_copied_ |= is_mapped;
}

}  // namespace faultline
