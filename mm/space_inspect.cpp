// An address space as others see it: its bytes through the direct map, its regions, its numbers.
#include "arch/user_copy.h"
#include "lib/scheduling.h"
#include "lib/string.h"
#include "mm/space.h"

namespace faultline {

// Page by page: if the entry allows the access, the bytes move under its table's lock, else the fault is taken first, as if the space had run. With
// less than a whole piece moved it is over: the other side, under a spin lock, could not take a fault of its own.
template <typename Copy>
Result<size_t> AddressSpace::access_foreign(VirtAddr address, size_t bytes, Access access, Copy copy) {
  size_t done = 0;
  Errno error = Errno::kFAULT;
  while (done < bytes) {
    VirtAddr at = address + static_cast<uint32_t>(done);
    if (!at.is_user()) break;
    size_t piece = kPageSize - at.page_offset();
    if (piece > bytes - done) piece = bytes - done;
    size_t moved = 0;
    bool may = false;
    {
      SharedLockGuard guard(lock_);
      Region* region = regions_.find(at);
      Pte entry = directory_entry(at);
      if (region && region->allows(access) && entry.is_present()) {
        TableLock lock(frame_record(entry.frame()));
        PteSlot& slot = table_slots(entry.frame())[at.table_index()];
        Pte pte = pte_load(slot);
        bool may_write = directory_entry(at) == entry && entry.is_writable() && pte.is_writable();
        if (pte.is_present() && directory_entry(at) == entry && (access != Access::kWrite || may_write)) {
          if (access == Access::kWrite) slot.fetch_or(Pte::kDirty | Pte::kAccessed, memory_order_seq_cst);
          moved = copy(direct_map_bytes(pte.frame()) + at.page_offset(), done, piece);
          may = true;
        }
      }
    }
    done += moved;
    if (may && moved < piece) return done;
    if (may) continue;
    FaultOutcome outcome = fault_ahead(at, access);
    if (outcome == FaultOutcome::kResolved) continue;
    if (outcome == FaultOutcome::kOutOfMemory) error = Errno::kNOMEM;
    if (outcome == FaultOutcome::kBusError) error = Errno::kIO;
    break;
  }
  if (done == 0 && bytes != 0) return error;
  return done;
}

Result<size_t> AddressSpace::read_foreign(VirtAddr address, void* destination, size_t bytes) {
  uint8_t* to = static_cast<uint8_t*>(destination);
  return access_foreign(address, bytes, Access::kRead, [to](uint8_t* page, size_t at, size_t piece) {
    memcpy(to + at, page, piece);
    return piece;
  });
}

Result<size_t> AddressSpace::write_foreign(VirtAddr address, const void* source, size_t bytes) {
  const uint8_t* from = static_cast<const uint8_t*>(source);
  return access_foreign(address, bytes, Access::kWrite, [from](uint8_t* page, size_t at, size_t piece) {
    memcpy(page, from + at, piece);
    return piece;
  });
}

// Reading and writing a word of the page that the next byte is in, as an access to that would.
static bool take_fault(VirtAddr address, Access access) {
  const VirtAddr word(address.value() & ~3u);
  uint32_t value;
  return user_load_u32(word, value) && (access == Access::kRead || user_compare_exchange_u32(word, value, value));
}

AddressSpace::CopyOutcome AddressSpace::copy_foreign(VirtAddr theirs, VirtAddr ours, uint32_t bytes, Towards towards) {
  constexpr uint32_t kStep = 64 * 1024;
  const bool to_them = towards == Towards::kThem;
  const Access our_access = to_them ? Access::kRead : Access::kWrite;
  if (bytes > kKernelBase || ours.value() > kKernelBase - bytes)
    return {.ours = Errno::kFAULT};  // a piece across the border would never move
  for (uint32_t done = 0; done < bytes;) {
    const uint32_t step = bytes - done < kStep ? bytes - done : kStep;
    auto copy = [&](uint8_t* page, size_t at, size_t piece) {
      const VirtAddr own = ours + done + static_cast<uint32_t>(at);
      return piece - (to_them ? user_copy_in(page, own, piece) : user_copy_out(own, page, piece));
    };
    Result<size_t> moved = access_foreign(theirs + done, step, to_them ? Access::kWrite : Access::kRead, copy);
    if (!moved.ok()) return {.theirs = moved.error()};
    done += static_cast<uint32_t>(moved.value());
    if (done == bytes) break;
    // Either of the two sides has stopped it; if it was theirs, the next round says so. Up to four bytes move together or not at all, and may lie in
    // two pages of ours.
    const uint32_t last = done + (bytes - done < 4 ? bytes - done : 4) - 1;
    if (moved.value() < step && (!take_fault(ours + done, our_access) || !take_fault(ours + last, our_access)))
      return {.ours = Errno::kFAULT};
    // Neither many pages from a disk nor somebody who takes them away again and again keeps a killed thread here.
    Result<void> slept = block(SleepKind::kKillable, Deadline{0});
    if (!slept.ok() && slept.error() == Errno::kINTR) return {.ours = Errno::kINTR};
  }
  return {};
}

Result<PinnedFrame> AddressSpace::loan_page(VirtAddr page) {
  SharedLockGuard guard(lock_);
  Pte entry = directory_entry(page);
  if (!entry.is_present()) return Errno::kFAULT;
  Frame& table = frame_record(entry.frame());
  TableLock lock(table);
  if (directory_entry(page).frame() != entry.frame()) return Errno::kFAULT;
  PteSlot& slot = table_slots(entry.frame())[page.table_index()];
  Pte pte = pte_load(slot);
  if (!pte.is_present() || frame_record(pte.frame()).use != FrameUse::kAnonymous) return Errno::kFAULT;
  if (pte.is_writable()) {
    // Whoever shares the table has it read-only, so only this space's CPUs can hold the right to write.
    slot.fetch_and(~Pte::kWritable, memory_order_seq_cst);
    FlushBatch batch(cpus_);
    batch.add(page.page_floor());
  }
  frame_pin(frame_record(pte.frame()));
  return PinnedFrame(pte.frame());
}

SpaceStatistics AddressSpace::statistics() {
  SpaceStatistics statistics = {};
  SharedLockGuard guard(lock_);
  statistics.mapped_pages = mapped_pages_;
  for (Region* region = regions_.first(); region; region = RegionSet::next(*region)) {
    uint32_t pages = region->pages();
    if (region->is_locked()) statistics.locked_pages += pages;
    if (region->grows_down)
      statistics.stack_pages += pages;
    else if (region->is_data())
      statistics.data_pages += pages;
    else if (region->object && (region->protection & kProtExecute))
      statistics.text_pages += pages;
  }
  for_each_table(0, kKernelDirectoryIndex - 1, [&](uint32_t index) {
    Pte entry = pte_load(directory_slot(index));
    TableLock lock(frame_record(entry.frame()));
    if (!uses_table(entry.frame(), index)) return;  // replaced meanwhile
    statistics.page_table_pages++;
    table_for_each(entry.frame(), 0, kEntriesPerTable - 1, [&](uint32_t, PteSlot&, Pte pte) {
      if (pte_is_swapped(pte)) statistics.swapped++;
      if (!pte_has_frame(pte) || !frame_record(pte.frame()).is_counted()) return;
      if (frame_record(pte.frame()).use == FrameUse::kAnonymous)
        statistics.resident_anonymous++;
      else if (pte_is_shared(pte))
        statistics.resident_shared++;
      else
        statistics.resident_file++;
    });
  });
  uint32_t resident = statistics.resident_anonymous + statistics.resident_file + statistics.resident_shared;
  statistics.peak_resident = peak_resident_pages() > resident ? peak_resident_pages() : resident;
  return statistics;
}

Pte AddressSpace::entry_of(VirtAddr page) {
  SharedLockGuard guard(lock_);
  Pte entry = directory_entry(page);
  if (!page.is_user() || !entry.is_present()) return Pte();
  TableLock lock(frame_record(entry.frame()));
  if (directory_entry(page).frame() != entry.frame()) return Pte();
  return pte_load(table_slots(entry.frame())[page.table_index()]);
}

}  // namespace faultline
