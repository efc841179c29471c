// msync, madvise, mincore.
#include "mm/space.h"
#include "mm/space_change.h"
#include "mm/user_memory.h"

namespace faultline {
namespace {

// madvise(2)'s numbers.
constexpr uint32_t kNormal = 0, kRandom = 1, kSequential = 2, kWillNeed = 3, kDontNeed = 4, kFree = 8, kRemove = 9, kDontFork = 10,
                   kDoFork = 11, kWipeOnFork = 18, kKeepOnFork = 19, kPopulateRead = 22, kPopulateWrite = 23, kDontNeedLocked = 24;
constexpr uint32_t kSyncAsync = 1, kSyncInvalidate = 2, kSyncSync = 4;  // msync(2)'s flags

// Page-aligned and within user space; `end` is past the last page.
Result<VirtAddr> end_of_range(VirtAddr start, uint32_t bytes) {
  if (!start.is_page_aligned()) return Errno::kINVAL;
  uint64_t end = start.value() + align_up<uint64_t>(bytes, kPageSize);
  if (end > kKernelBase) return Errno::kNOMEM;
  return VirtAddr(static_cast<uint32_t>(end));
}

void note_advice(Region& region, uint32_t advice) {
  switch (advice) {
    case kNormal: region.reading_order = ReadingOrder::kNormal; break;
    case kRandom: region.reading_order = ReadingOrder::kRandom; break;
    case kSequential: region.reading_order = ReadingOrder::kSequential; break;
    case kDontFork: region.inheritance = Inheritance::kLeftOut; break;
    case kWipeOnFork: region.inheritance = Inheritance::kEmpty; break;
    case kDoFork:
    case kKeepOnFork: region.inheritance = Inheritance::kCopied; break;
  }
}

Result<void> populate_result(FaultOutcome outcome) {
  switch (outcome) {
    case FaultOutcome::kResolved: return {};
    case FaultOutcome::kNotAllowed: return Errno::kINVAL;
    case FaultOutcome::kBusError: return Errno::kFAULT;
    default: return Errno::kNOMEM;
  }
}

}  // namespace

Result<void> AddressSpace::sync(VirtAddr start, uint32_t bytes, uint32_t flags) {
  if ((flags & ~(kSyncAsync | kSyncInvalidate | kSyncSync)) || ((flags & kSyncAsync) && (flags & kSyncSync))) return Errno::kINVAL;
  VirtAddr end = TRY(end_of_range(start, bytes));
  Result<void> result;
  bool has_hole = false;
  // Region by region, with nothing held during the write-back.
  while (start < end) {
    Ref<Object> object;
    Ref<RegionBacking> backing;
    PageIndex first;
    VirtAddr region_end;
    {
      SharedLockGuard guard(lock_);
      Region* region = regions_.first_after(start);
      has_hole |= !region || region->start > start;
      if (!region || region->start >= end) break;
      if (region->start > start) start = region->start;
      if ((flags & kSyncInvalidate) && region->is_locked()) return Errno::kBUSY;
      region_end = region->end < end ? region->end : end;
      first = region->index_of(start);
      if (region->shared) object = region->object;
      if (region->shared) backing = region->backing;
    }
    if (object && (flags & kSyncSync)) {
      auto written = object->write_back(first, (region_end - start) >> kPageShift, WriteBack::kWait);
      if (written.ok() && backing) written = backing->synchronize(true);
      if (!written.ok() && result.ok()) result = written;
    }
    start = region_end;
  }
  if (result.ok() && has_hole) return Errno::kNOMEM;
  return result;
}

Result<void> AddressSpace::advise(VirtAddr start, uint32_t bytes, uint32_t advice) {
  // Linux sees these too; here they change nothing: hints about huge and equal pages, dumps, and what to reclaim first.
  constexpr uint32_t kIgnored = 1u << 12 | 1u << 13 | 1u << 14 | 1u << 15 | 1u << 16 | 1u << 17 | 1u << 20 | 1u << 21;
  constexpr uint32_t kKnown = 0x1f | 1u << kFree | 1u << kRemove | 1u << kDontFork | 1u << kDoFork | 1u << kWipeOnFork | 1u << kKeepOnFork |
                              1u << kPopulateRead | 1u << kPopulateWrite | 1u << kDontNeedLocked | kIgnored;
  if (advice > 31 || !(kKnown & 1u << advice) || !start.is_page_aligned()) return Errno::kINVAL;
  if (start.value() + align_up<uint64_t>(bytes, kPageSize) > 1ull << 32) return Errno::kINVAL;
  VirtAddr end = TRY(end_of_range(start, bytes));
  if (start == end) return {};
  switch (advice) {
    case kWillNeed: return read_ahead(start, end);
    case kDontNeed:
    case kFree:
    case kDontNeedLocked: return drop_advised(start, end, advice);
    case kRemove: return remove_pages(start, end);
    case kPopulateRead: return populate_result(populate(start, end, Populate::kRead));
    case kPopulateWrite: return populate_result(populate(start, end, Populate::kWrite));
  }
  DeadRegions dead;
  LockGuard guard(lock_);
  bool is_whole = is_mapped(start, end);
  for (Region* region = regions_.first_after(start); region && region->start < end; region = RegionSet::next(*region))
    if (advice == kWipeOnFork && (region->shared || region->object)) return Errno::kINVAL;
  if (!(kIgnored & 1u << advice)) {
    has_exceptions_ |= advice == kDontFork || advice == kWipeOnFork;
    TRY(change_regions(start, end, dead, [advice](Region& region) { note_advice(region, advice); }));
  }
  return is_whole ? Result<void>() : Errno::kNOMEM;
}

// MADV_FREE takes pages at once, as it may: a read may give zero from then on.
Result<void> AddressSpace::drop_advised(VirtAddr start, VirtAddr end, uint32_t advice) {
  LockGuard guard(lock_);
  for (Region* region = regions_.first_after(start); region && region->start < end; region = RegionSet::next(*region)) {
    if (region->is_locked() && advice != kDontNeedLocked) return Errno::kINVAL;
    if (advice == kFree && (region->shared || region->object)) return Errno::kINVAL;
  }
  TRY(own_tables_for_removal(start, end));
  clear_range(start, end);
  return is_mapped(start, end) ? Result<void>() : Errno::kNOMEM;
}

// Pages of shared memory are gone for everybody. Of files, that is the file system's work.
Result<void> AddressSpace::remove_pages(VirtAddr start, VirtAddr end) {
  while (start < end) {
    Ref<Object> object;
    Ref<RegionBacking> backing;
    PageIndex first;
    VirtAddr region_end;
    {
      SharedLockGuard guard(lock_);
      Region* region = regions_.find(start);
      if (!region) return Errno::kNOMEM;
      if (region->is_locked() || !region->object) return Errno::kINVAL;
      if (!region->shared || !(region->max_protection & kProtWrite)) return Errno::kACCES;
      region_end = region->end < end ? region->end : end;
      first = region->index_of(start);
      object = region->object;
      backing = region->backing;
    }
    const uint32_t pages = (region_end - start) >> kPageShift;
    TRY(backing ? backing->punch_hole(first, pages) : object->discard(first, pages));
    start = region_end;
  }
  return {};
}

// Private memory has nothing that could be fetched. What cannot be read is left for its touch to tell.
Result<void> AddressSpace::read_ahead(VirtAddr start, VirtAddr end) {
  bool has_hole = false;
  while (start < end) {
    Ref<Object> object;
    PageIndex first;
    VirtAddr from, to;
    {
      SharedLockGuard guard(lock_);
      Region* region = regions_.first_after(start);
      has_hole |= !region || region->start > start;
      if (!region || region->start >= end) break;
      from = region->start > start ? region->start : start;
      to = region->end < end ? region->end : end;
      first = region->index_of(from);
      object = region->object;
    }
    if (object) object->read_ahead(first, (to - from) >> kPageShift);
    start = to;
  }
  return has_hole ? Errno::kNOMEM : Result<void>();
}

Result<void> AddressSpace::in_core(VirtAddr start, uint32_t bytes, VirtAddr vector) {
  VirtAddr end = TRY(end_of_range(start, bytes));
  uint8_t chunk[64];
  while (start < end) {
    uint32_t count = 0;
    {
      SharedLockGuard guard(lock_);
      for (; count < sizeof chunk && start + count * kPageSize < end; count++) {
        VirtAddr page = start + count * kPageSize;
        Region* region = regions_.find(page);
        if (!region) return Errno::kNOMEM;
        Pte entry = directory_entry(page);
        bool is_here = entry.is_present() && pte_has_frame(pte_load(table_slots(entry.frame())[page.table_index()]));
        if (!is_here && region->object) is_here = region->object->is_resident(region->index_of(page));
        chunk[count] = is_here;
      }
    }
    TRY(user_write_bytes(vector, chunk, count));
    vector = vector + count;
    start = start + count * kPageSize;
  }
  return {};
}

}  // namespace faultline
