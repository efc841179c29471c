// mmap, munmap, mprotect. Each checks and allocates everything first, then performs what cannot fail. Regions taken out are ended after the
// space's lock is let go, since the last reference to a file may close it.
#include <machine/planted_bugs.h>

#include "mm/slab.h"
#include "mm/space.h"

namespace faultline {

using machine::Bug;
using machine::planted;

namespace {

constexpr uint32_t kLowestMapping = 64 * 1024;  // of addresses the kernel chooses

// Whether the bytes, rounded up to pages, lie in user space; of whole pages if `start` is aligned.
bool is_user_range(VirtAddr start, uint32_t bytes) { return start.value() <= kKernelBase && bytes <= kKernelBase - start.value(); }

}  // namespace

// Whether a mapping up to `end` would stop a stack that follows it from growing.
bool AddressSpace::is_in_the_way(VirtAddr end, const Region* after) {
  return after && after->grows_down && after->start - end < kGuardPages * kPageSize;
}

RegionSet::Gap AddressSpace::find_place(VirtAddr hint, uint32_t bytes) {
  if (hint.value() >= kLowestMapping && is_user_range(hint, bytes)) {
    Region* after = regions_.first_after(hint);
    if ((!after || after->start >= hint + bytes) && !is_in_the_way(hint + bytes, after)) return {hint, after};
  }
  RegionSet::Gap gap;
  for (VirtAddr high : {mapping_ceiling_, VirtAddr(kKernelBase - kPageSize)}) {
    gap = regions_.find_gap(bytes, VirtAddr(kLowestMapping), high);
    if (gap.start != VirtAddr(0) && is_in_the_way(gap.start + bytes, gap.above)) [[unlikely]]
      gap = regions_.find_gap(bytes + kGuardPages * kPageSize, VirtAddr(kLowestMapping), high);
    if (gap.start != VirtAddr(0)) break;
  }
  return gap;
}

Result<void> AddressSpace::choose_place(MapRequest& request, DeadRegions& dead) {
  VirtAddr wanted = request.address;
  RegionSet::Gap place;
  if (request.fixed || request.no_replace) {
    if (!wanted.is_page_aligned()) return Errno::kINVAL;
    if (!is_user_range(wanted, request.bytes)) return Errno::kNOMEM;
    if (wanted.value() < kPageSize) return Errno::kPERM;  // the null page is never mapped
    if (!request.no_replace) TRY(unmap_locked(wanted, wanted + request.bytes, dead));
    place = {wanted, regions_.first_after(wanted)};
    if (request.no_replace && place.above && place.above->start < wanted + request.bytes) return Errno::kEXIST;
  } else {
    place = find_place(wanted.page_floor(), request.bytes);
    if (place.start == VirtAddr(0)) return Errno::kNOMEM;
  }
  request.start = place.start;
  request.end = place.start + request.bytes;
  request.after = place.above;
  return {};
}

void AddressSpace::insert_region(Region& region, DeadRegions& dead) {
  mapped_pages_ += region.pages();
  regions_.insert(region);
  merge_from(&region, region.end, dead);
}

bool AddressSpace::extend_neighbour(const MapRequest& wanted, DeadRegions& dead) {
  Region* after = wanted.after;
  if (after && wanted.continues_in(*after)) {
    regions_.move_start(*after, wanted.start);
    if (after->gap_below == 0) merge_from(RegionSet::previous(*after), wanted.end, dead);
    return true;
  }
  Region* before = after ? RegionSet::previous(*after) : regions_.last();
  if (!before || !before->continues_in(wanted)) return false;
  regions_.move_end(*before, wanted.end);
  return true;
}

void AddressSpace::merge_from(Region* region, VirtAddr end, DeadRegions& dead) {
  if (region && region->gap_below == 0)
    if (Region* before = RegionSet::previous(*region)) region = before;
  while (region && region->end <= end) {
    Region* next = RegionSet::next(*region);
    if (!next || !region->continues_in(*next)) {
      region = next;
    } else {
      regions_.absorb_next(*region, *next);
      dead.add(next);
    }
  }
}

Result<VirtAddr> AddressSpace::map(MapRequest& request) {
  if (request.bytes == 0) return Errno::kINVAL;
  if (request.bytes > kKernelBase - kPageSize) return Errno::kNOMEM;
  request.bytes = align_up(request.bytes, kPageSize);
  const uint32_t pages = request.bytes >> kPageShift;
  if (request.protection & ~request.max_protection) return Errno::kACCES;
  if (!request.object)
    request.object_offset = PageIndex(0);
  else if (request.object_offset.value() + pages < request.object_offset.value())
    return Errno::kOVERFLOW;
  if (request.no_reserve && commit_mode() == Overcommit::kNever) request.no_reserve = false;
  if (request.shared && !request.object)
    request.object = TRY(Object::create_anonymous(request.bytes, request.no_reserve ? SharedPromise::kByPage : SharedPromise::kWhole));
  request.promised = request.needs_promise(request.protection);
  request.protection = with_execution(request.protection, request.max_protection);
  DeadRegions dead;
  // What a fixed place has is gone before the region is made, which therefore may not fail.
  Owned<Region> region;
  if (request.fixed) region = Owned<Region>(TRY(slab_new<Region>()));
  {
    LockGuard guard(lock_);
    if (!request.is_locked()) request.lock_mode = future_lock_;
    has_exceptions_ |= request.is_locked();
    if (regions_.count() > RegionSet::kLimit) return Errno::kNOMEM;
    if (has_limits_for(pages, request)) [[unlikely]]
      TRY(check_limits(request, pages));
    TRY(choose_place(request, dead));
    CommitPromise promise;
    if (request.promised) TRY(promise.take(pages, mapped_pages_));
    if (!extend_neighbour(request, dead)) {
      if (!region) region = Owned<Region>(TRY(slab_new<Region>()));
      static_cast<Mapping&>(*region) = std::move(request);
      if (request.lent_backing) region->backing = Ref<RegionBacking>(*request.lent_backing);
      regions_.insert(*region.leak());
    }
    mapped_pages_ += pages;
    promised_pages_ += promise.keep();
  }
  // A page that cannot be had is left for its touch to tell.
  if (request.populate || request.lock_mode == LockMode::kLocked) populate(request.start, request.end, Populate::kAll);
  return request.start;
}

bool AddressSpace::has_limits_for(uint32_t more, const Mapping& mapping) const {
  return mapped_pages_ + more > space_limit_ >> kPageShift || mapping.is_locked() ||
         (mapping.is_data() && current_data_limit() < kKernelBase);
}

// What a fixed place replaces does not count twice.
Result<void> AddressSpace::check_limits(const MapRequest& request, uint32_t pages) const {
  auto checked = check_limits(pages, request.is_data(), request.is_locked());
  if (checked.ok() || !request.fixed || request.no_replace || !is_user_range(request.address, request.bytes)) [[likely]]
    return checked;
  const uint32_t replaced = count_pages(request.address, request.address + request.bytes, [](const Region&) { return true; });
  return check_limits(pages - replaced, request.is_data(), request.is_locked());
}

// Data and locked pages are counted when there is a limit to compare with: most processes have none.
Result<void> AddressSpace::check_limits(uint32_t more, bool is_data, bool is_locked) const {
  if (mapped_pages_ + more > space_limit_ >> kPageShift) return Errno::kNOMEM;
  if (is_data) TRY(check_data_limit(more));
  return is_locked ? check_locked_limit(more) : Result<void>();
}

Result<void> AddressSpace::check_data_limit(uint32_t more) const {
  uint64_t limit = current_data_limit();
  if (limit >= kKernelBase) return {};
  uint32_t now = count_pages(VirtAddr(0), VirtAddr(kKernelBase), [](const Region& region) { return region.is_data(); });
  return now + more > limit >> kPageShift ? Result<void>(Errno::kNOMEM) : Result<void>();
}

Result<void> AddressSpace::check_locked_limit(uint32_t more) const {
  uint64_t limit = current_locked_limit();
  if (limit >= kKernelBase) return {};
  uint32_t now = count_pages(VirtAddr(0), VirtAddr(kKernelBase), [](const Region& region) { return region.is_locked(); });
  return now + more > limit >> kPageShift ? Result<void>(Errno::kAGAIN) : Result<void>();
}

FaultOutcome AddressSpace::populate(VirtAddr start, VirtAddr end, Populate how) {
  while (start < end) {
    VirtAddr region_end = start;
    Access access = how == Populate::kWrite ? Access::kWrite : Access::kRead;
    {
      SharedLockGuard guard(lock_);
      Region* region = regions_.first_after(start);
      if (how == Populate::kAll && region && region->start > start) start = region->start;
      if (!region || region->start > start) return FaultOutcome::kNotMapped;
      region_end = region->end < end ? region->end : end;
      // Private pages get their copy now; of shared ones, writing would make dirty what is not.
      if (how != Populate::kRead && !region->shared && (region->protection & kProtWrite)) access = Access::kWrite;
    }
    FaultOutcome outcome = FaultOutcome::kResolved;
    for (; start < region_end && outcome == FaultOutcome::kResolved; start = start + kPageSize) outcome = fault_ahead(start, access);
    if (outcome != FaultOutcome::kResolved && how != Populate::kAll) return outcome;
    start = region_end;
  }
  return FaultOutcome::kResolved;
}

Result<Region*> AddressSpace::cut(Region& region, VirtAddr at) {
  if (regions_.count() >= RegionSet::kLimit) return Errno::kNOMEM;
  Region* upper = TRY(slab_new<Region>(region));
  regions_.split(region, at, *upper);
  return upper;
}

Result<void> AddressSpace::split_at(VirtAddr at) {
  Region* region = regions_.find(at);
  if (region && region->start != at) TRY(cut(*region, at));
  return {};
}

bool AddressSpace::is_mapped(VirtAddr start, VirtAddr end) const {
  for (Region* region = regions_.first_after(start); region && region->start <= start; region = RegionSet::next(*region)) {
    if (region->end >= end) return true;
    start = region->end;
  }
  return false;
}

Result<void> AddressSpace::own_tables_for_removal(VirtAddr start, VirtAddr end) {
  Result<void> result;
  for_each_table_within(start, end, [&](uint32_t index, uint32_t from, uint32_t to) {
    Pte entry = pte_load(directory_slot(index));
    // A table whose entries all go is let go whole.
    if (!result.ok() || entry.is_writable() || (from == 0 && to == kEntriesPerTable - 1)) return;
    uint32_t inside;
    bool is_all;
    {
      TableLock lock(frame_record(entry.frame()));
      inside = table_count(entry.frame(), from, to);
      is_all = inside == frame_record(entry.frame()).table.live;
    }
    if (inside > 0 && !is_all) result = table_make_sole(directory_slot(index), cpus_);
  });
  return result;
}

void AddressSpace::clear_range(VirtAddr start, VirtAddr end) {
  FlushBatch batch(cpus_);
  // Hide: the processor can load nothing of the range any more. A directory entry that loses all its pages is hidden itself.
  for_each_table_within(start, end, [&](uint32_t index, uint32_t from, uint32_t to) {
    PteSlot& directory = directory_slot(index);
    FrameNumber table = pte_load(directory).frame();
    Frame& record = frame_record(table);
    TableLock lock(record);
    bool is_whole = from == 0 && to == kEntriesPerTable - 1;
    if (is_whole || table_has_only(table, from, to)) {
      pte_store(directory, pte_hidden(pte_load(directory)));
      if (planted(Bug::kUnmapWithoutFlush)) return;
      batch.add(slot_address(record, from));
      table_for_each(table, from, to, [&](uint32_t i, PteSlot&, Pte pte) {
        if (pte.is_present()) batch.add(slot_address(record, i));
        return !batch.is_everything();
      });
    } else {
      slots_hide(table, from, to, batch);
      // A hidden entry says nothing of its A bit any more, and the reclaimer takes it for one that no TLB holds: not before that is so.
      if (!planted(Bug::kFreeBeforeFlush)) batch.flush();
    }
  });
  if (!planted(Bug::kFreeBeforeFlush)) batch.flush();
  // Drop: what no TLB can reach goes back.
  uint32_t dropped = 0;
  for_each_table_within(start, end, [&](uint32_t index, uint32_t from, uint32_t to) {
    PteSlot& directory = directory_slot(index);
    Pte entry = pte_load(directory);
    FrameNumber table = entry.frame();
    Frame& record = frame_record(table);
    if (!entry.is_present()) {
      pte_store(directory, Pte());
      tables_[index / 32].fetch_and(~(1u << index % 32), memory_order_relaxed);
      dropped += table_drop(table);
      return;
    }
    TableLock lock(record);
    dropped += static_cast<uint32_t>(record.reverse);
    slots_drop(table, from, to);
    dropped -= static_cast<uint32_t>(record.reverse);
  });
  count_resident(-static_cast<int32_t>(dropped));
}

Result<void> AddressSpace::unmap_locked(VirtAddr start, VirtAddr end, DeadRegions& dead) {
  Region* region = regions_.first_after(start);
  if (!region || region->start >= end) return {};
  if (region->start < start && region->end > end) TRY(split_at(end));
  if (has_tables(start, end)) {
    if (auto result = own_tables_for_removal(start, end); !result.ok()) {
      merge_from(region, end, dead);
      return result;
    }
    clear_range(start, end);
  }
  uint32_t released = 0;
  while (region && region->start < end) {
    const uint32_t gone = pages_within(*region, start, end);
    mapped_pages_ -= gone;
    if (region->promised) released += gone;
    if (region->end > end) {
      regions_.move_start(*region, end);
      break;
    }
    Region* next = RegionSet::next(*region);
    if (region->start < start) {
      regions_.move_end(*region, start);
    } else {
      regions_.remove(*region);
      dead.add(region);
    }
    region = next;
  }
  if (released != 0) release_promise(released);
  return {};
}

Result<void> AddressSpace::unmap(VirtAddr start, uint32_t bytes) {
  if (!start.is_page_aligned() || bytes == 0 || !is_user_range(start, bytes)) return Errno::kINVAL;
  DeadRegions dead;
  LockGuard guard(lock_);
  return unmap_locked(start, start + align_up(bytes, kPageSize), dead);
}

Result<void> AddressSpace::own_all_tables_with_entries(VirtAddr start, VirtAddr end) {
  Result<void> result;
  for_each_table_within(start, end, [&](uint32_t index, uint32_t from, uint32_t to) {
    Pte entry = pte_load(directory_slot(index));
    if (!result.ok() || entry.is_writable()) return;
    if (table_count(entry.frame(), from, to) > 0) result = table_make_sole(directory_slot(index), cpus_);
  });
  return result;
}

// Entries of the range lose what `protection` does not allow; what it newly allows, the next fault gives.
void AddressSpace::lower_range(VirtAddr start, VirtAddr end, Protection protection) {
  const bool hides = protection == kProtNone && !planted(Bug::kHiddenLeavesPresent);
  FlushBatch batch(cpus_);
  for_each_table_within(start, end, [&](uint32_t index, uint32_t from, uint32_t to) {
    FrameNumber table = pte_load(directory_slot(index)).frame();
    TableLock lock(frame_record(table));
    if (hides)
      slots_hide(table, from, to, batch);
    else
      slots_write_protect(table, from, to, batch);
    if (protection == kProtNone) batch.flush();  // before the reclaimer sees them, as in clear_range()
  });
}

Result<void> AddressSpace::protect(VirtAddr start, uint32_t bytes, Protection protection, Reach reach) {
  if (!start.is_page_aligned()) return Errno::kINVAL;
  if (bytes == 0) return {};
  if (!is_user_range(start, bytes)) return Errno::kNOMEM;
  const VirtAddr end = start + align_up(bytes, kPageSize);
  const bool is_lowering = !(protection & kProtWrite);
  const Protection implied = implied_by(protection);
  DeadRegions dead;
  LockGuard guard(lock_);
  Region *first = regions_.find(start), *last = first;
  if (reach == Reach::kToRegionStart) {
    if (!first) return Errno::kNOMEM;
    if (!first->grows_down) return Errno::kINVAL;
    start = first->start;
  }
  bool is_change = false, becomes_data = false, becomes_promise = false;
  for (VirtAddr at = start;; last = RegionSet::next(*last)) {
    if (!last || last->start > at) return Errno::kNOMEM;  // a hole
    if (protection & ~last->max_protection) return Errno::kACCES;
    is_change |= last->protection != (protection | (implied & last->max_protection));
    if (!is_lowering) {
      becomes_data |= !(last->protection & kProtWrite);
      becomes_promise |= last->needs_promise(protection);
    }
    at = last->end;
    if (at >= end) break;
  }
  if (!is_change) return {};
  if (becomes_data && current_data_limit() < kKernelBase) {
    uint32_t more = count_pages(start, end, [](const Region& r) { return !r.is_data() && !r.shared && !r.grows_down; });
    TRY(check_data_limit(more));
  }
  CommitPromise promise;
  if (becomes_promise) {
    uint32_t more = count_pages(start, end, [protection](const Region& r) { return r.needs_promise(protection); });
    TRY(promise.take(more, mapped_pages_));
  }
  Result<void> prepared;
  if (first->start < start) {
    auto upper = cut(*first, start);
    if (!upper.ok()) return upper.error();
    if (last == first) last = upper.value();
    first = upper.value();
  }
  if (last->end > end)
    if (auto upper = cut(*last, end); !upper.ok()) prepared = upper.error();
  if (prepared.ok() && is_lowering) prepared = own_tables_with_entries(start, end);
  if (prepared.ok()) {
    for (Region* region = first;; region = RegionSet::next(*region)) {
      region->promised |= region->needs_promise(protection);
      region->protection = protection | (implied & region->max_protection);
      if (region->end >= end) break;
    }
    promised_pages_ += promise.keep();
    if (is_lowering) lower_range(start, end, protection);
  }
  regions_.expect_at(*first);
  merge_from(first, end, dead);
  return prepared;
}

}  // namespace faultline
