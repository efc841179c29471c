// Pages that are there but are not to be seen, so that the next touch of each faults, brings nothing, and is noticed.
#include <algorithm>

#include "mm/space.h"

namespace faultline {

void AddressSpace::hide_pages(VirtAddr start, uint32_t pages, std::span<const VirtAddr> visible) {
  SharedLockGuard guard(lock_);
  if (!directory_entry(start).is_present()) return;
  // A table that others use shows them the same entries. From here on it stays this space's own: fork needs the space for writing.
  auto table = own_table(start.directory_index());
  if (!table.ok()) return;
  Frame& record = frame_record(table.value());
  TableLock lock(record);
  FlushBatch batch(cpus_);
  table_for_each(table.value(), start.table_index(), start.table_index() + pages - 1, [&](uint32_t index, PteSlot& slot, Pte) {
    if (std::find(visible.begin(), visible.end(), slot_address(record, index)) == visible.end()) slot_hide(record, slot, index, batch);
  });
}

}  // namespace faultline
