// mremap and brk.
#include <machine/planted_bugs.h>

#include <optional>

#include "mm/slab.h"
#include "mm/space.h"

namespace faultline {
namespace {
constexpr uint32_t kMayMove = 1, kFixed = 2, kDontUnmap = 4;  // mremap(2)'s flags
}

// Tables on both sides are this space's own, so that moving cannot fail. Spare empty tables do no harm.
Result<void> AddressSpace::prepare_move(VirtAddr from, VirtAddr to, uint32_t bytes) {
  TRY(own_tables_with_entries(from, from + bytes));
  for (uint32_t index = to.directory_index(); index <= (to + (bytes - 1)).directory_index(); index++) TRY(own_table(index));
  return {};
}

// One hidden entry goes to an empty slot of another table, still hidden: the next touch decides afresh.
void AddressSpace::move_entry(VirtAddr from, VirtAddr to) {
  FrameNumber source = directory_entry(from).frame(), target = directory_entry(to).frame();
  Frame &source_record = frame_record(source), &target_record = frame_record(target);
  PteSlot& source_slot = table_slots(source)[from.table_index()];
  PteSlot& target_slot = table_slots(target)[to.table_index()];
  TableLock source_lock(source_record);
  std::optional<SecondTableLock> target_lock;
  if (source != target) target_lock.emplace(target_record);
  Pte pte = pte_load(source_slot);
  if (pte.is_empty()) return;  // truncated meanwhile
  if (pte_is_swapped(pte)) {
    pte_store(source_slot, Pte());
    source_record.table.live--;
    return slot_fill(target_record, target_slot, to.table_index(), pte, FrameKind::kUncounted);
  }
  Frame& frame = frame_record(pte.frame());
  if (!frame.is_counted()) {
    FreeBatch unused;
    slot_drop(source_record, source_slot, from.table_index(), unused);
    return;
  }
  // Reverse-map walkers must find the frame at one of the two places.
  FrameLock frame_lock(frame);
  pte_store(source_slot, Pte());
  source_record.table.live--;
  source_record.reverse--;
  if (!machine::planted(machine::Bug::kLocatorNotMoved))
    reverse_map_move(frame, Locator(source, from.table_index()), Locator(target, to.table_index()));
  slot_fill(target_record, target_slot, to.table_index(), pte, FrameKind::kCounted);
}

void AddressSpace::move_entries(VirtAddr from, VirtAddr to, uint32_t bytes) {
  lower_range(from, from + bytes, kProtNone);
  for_each_table_within(from, from + bytes, [&](uint32_t index, uint32_t first, uint32_t last) NO_THREAD_SAFETY_ANALYSIS {
    FrameNumber table = pte_load(directory_slot(index)).frame();
    for (uint32_t i = first; i <= last; i++) {
      if (pte_load(table_slots(table)[i]).is_empty()) continue;
      VirtAddr page = table_start(index) + i * kPageSize;
      move_entry(page, to + (page - from));
    }
  });
}

// What mremap wants, checked; `to` counts only if `is_fixed`.
struct AddressSpace::Move {
  VirtAddr from;
  uint32_t old_size, new_size;
  bool may_move, is_fixed, keeps_old;  // keeps_old: the old region stays, emptied (MREMAP_DONTUNMAP)
  VirtAddr to;
};

namespace {
bool is_sound_target(VirtAddr from, uint32_t old_size, VirtAddr to, uint32_t new_size) {
  if (!to.is_page_aligned() || new_size > kKernelBase || to.value() > kKernelBase - new_size) return false;
  return to.value() >= uint64_t{from.value()} + old_size || from >= to + new_size;  // the places do not overlap
}
}  // namespace

Result<VirtAddr> AddressSpace::remap(VirtAddr old_start, uint32_t old_bytes, uint32_t new_bytes, uint32_t flags, VirtAddr new_start) {
  if (!old_start.is_page_aligned() || (flags & ~(kMayMove | kFixed | kDontUnmap)) || new_bytes == 0) return Errno::kINVAL;
  if ((flags & (kFixed | kDontUnmap)) && !(flags & kMayMove)) return Errno::kINVAL;
  if (new_bytes > kKernelBase - kPageSize) return flags & kFixed ? Errno::kINVAL : Errno::kNOMEM;
  if (old_bytes > kKernelBase) return Errno::kFAULT;
  Move move{old_start,
            align_up(old_bytes, kPageSize),
            align_up(new_bytes, kPageSize),
            (flags & kMayMove) != 0,
            (flags & kFixed) != 0,
            (flags & kDontUnmap) != 0,
            new_start};
  if (move.keeps_old && move.old_size != move.new_size) return Errno::kINVAL;
  if (move.is_fixed && !is_sound_target(old_start, move.old_size, new_start, move.new_size)) return Errno::kINVAL;
  bool populates = false;
  VirtAddr place;
  {
    DeadRegions dead;
    Owned<Region> moved(TRY(slab_new<Region>()));
    LockGuard guard(lock_);
    Region* region = regions_.find(old_start);
    if (!region) return Errno::kFAULT;
    populates = region->lock_mode == LockMode::kLocked && move.new_size > move.old_size;
    place = TRY(resize_or_move(move, *region, moved, dead));
  }
  if (populates) populate(place + move.old_size, place + move.new_size, Populate::kAll);
  return place;
}

Result<VirtAddr> AddressSpace::resize_or_move(const Move& move, Region& region, Owned<Region>& moved, DeadRegions& dead) {
  VirtAddr old_end = move.from + move.old_size;
  if (region.end - move.from < move.old_size) return Errno::kFAULT;
  bool may_stay = !move.is_fixed && !move.keeps_old && move.old_size != 0;
  if (may_stay && move.new_size <= move.old_size) {
    if (move.new_size < move.old_size) TRY(unmap_locked(move.from + move.new_size, old_end, dead));
    return move.from;
  }
  if (move.old_size == 0 && !region.shared) return Errno::kINVAL;  // only shared memory can be had twice
  uint32_t pages = move.new_size >> kPageShift, index = region.index_of(move.from).value();
  if (region.object && index + pages < index) return Errno::kINVAL;
  uint32_t more = move.keeps_old ? pages : move.new_size > move.old_size ? (move.new_size - move.old_size) >> kPageShift : 0;
  if (more > 0) TRY(check_limits(more, region.is_data(), region.is_locked() && !move.keeps_old));
  CommitPromise promise;
  if (more > 0 && region.promised) TRY(promise.take(more, mapped_pages_));
  uint32_t growth = move.new_size - move.old_size;
  bool has_room = region.end == old_end && kKernelBase - old_end.value() >= growth && regions_.is_free(old_end, old_end + growth);
  if (may_stay && has_room) {
    regions_.move_end(region, old_end + growth);
    mapped_pages_ += more;
    promised_pages_ += promise.keep();
    merge_from(&region, region.end, dead);
    return move.from;
  }
  if (!move.may_move) return Errno::kNOMEM;
  return move_region(move, promise, moved, dead);
}

// `promise` is for what is more afterwards than before.
Result<VirtAddr> AddressSpace::move_region(const Move& move, CommitPromise& promise, Owned<Region>& moved, DeadRegions& dead) {
  constexpr uint32_t kCuts = 4;  // at most so many regions come of it
  if (regions_.count() + kCuts > RegionSet::kLimit) return Errno::kNOMEM;
  MapRequest request;
  request.address = move.is_fixed ? move.to : VirtAddr(0);
  request.fixed = move.is_fixed;
  request.bytes = move.new_size;
  TRY(choose_place(request, dead));
  const VirtAddr to = request.start, old_end = move.from + move.old_size;
  TRY(split_at(move.from));
  if (move.old_size > 0) TRY(split_at(old_end));
  uint32_t move_size = move.new_size < move.old_size ? move.new_size : move.old_size;
  if (move_size > 0) TRY(prepare_move(move.from, to, move_size));
  if (move_size < move.old_size) TRY(own_tables_for_removal(move.from + move_size, old_end));
  Region* region = regions_.find(move.from);  // making room may have cut it
  if (!region) return Errno::kFAULT;          // or taken it away: a second place (old_size 0) for memory, upon that memory
  static_cast<Mapping&>(*moved) = *region;
  if (region->object) moved->object_offset = region->index_of(move.from);
  moved->start = to;
  moved->end = to + move.new_size;
  if (move_size > 0) move_entries(move.from, to, move_size);
  promised_pages_ += promise.keep();
  if (region->promised && !move.keeps_old) {
    region->promised = false;  // the promise moves along, as far as it is still needed
    if (move.new_size < move.old_size) release_promise((move.old_size - move.new_size) >> kPageShift);
  }
  if (move.keeps_old) region->lock_mode = LockMode::kNone;
  insert_region(*moved.leak(), dead);
  if (move.keeps_old || move.old_size == 0)
    merge_from(regions_.find(move.from), old_end, dead);
  else
    ignore_result(unmap_locked(move.from, old_end, dead));  // a whole region with its own tables: cannot fail
  return to;
}

void AddressSpace::set_break_start(VirtAddr start) {
  LockGuard guard(lock_);
  break_start_ = break_ = start;
}

VirtAddr AddressSpace::set_break(VirtAddr wanted, uint64_t data_limit) {
  VirtAddr old_end, end;
  {
    DeadRegions dead;
    auto fresh = slab_new<Region>();
    Owned<Region> spare(fresh.ok() ? fresh.value() : nullptr);
    LockGuard guard(lock_);
    old_end = VirtAddr(align_up(break_.value(), kPageSize));
    end = move_break(wanted, data_limit, spare, dead);
    if (future_lock_ != LockMode::kLocked) return end;
  }
  if (end > old_end) populate(old_end, VirtAddr(align_up(end.value(), kPageSize)), Populate::kAll);
  return end;
}

VirtAddr AddressSpace::move_break(VirtAddr wanted, uint64_t data_limit, Owned<Region>& spare, DeadRegions& dead) {
  if (wanted < break_start_ || wanted.value() > kKernelBase - kPageSize || wanted - break_start_ > data_limit) return break_;
  VirtAddr old_end(align_up(break_.value(), kPageSize)), new_end(align_up(wanted.value(), kPageSize));
  if (new_end < old_end) {
    if (!unmap_locked(new_end, old_end, dead).ok()) return break_;
  } else if (new_end > old_end) {
    uint32_t pages = (new_end - old_end) >> kPageShift;
    bool is_locked = future_lock_ != LockMode::kNone;
    if (!check_limits(pages, true, is_locked).ok() || !regions_.is_free(old_end, new_end)) return break_;
    CommitPromise promise;
    if (!promise.take(pages, mapped_pages_).ok()) return break_;
    constexpr Protection kAll = kProtRead | kProtWrite | kProtExecute;
    Protection protection = with_execution(kProtRead | kProtWrite, kAll);
    Region* heap = regions_.find(old_end - 1);
    if (heap && heap->kind == RegionKind::kHeap && heap->protection == protection && heap->lock_mode == future_lock_ &&
        heap->inheritance == Inheritance::kCopied && heap->promised) {
      regions_.move_end(*heap, new_end);
      mapped_pages_ += pages;
    } else {
      if (!spare || regions_.count() >= RegionSet::kLimit) return break_;
      spare->lock_mode = future_lock_;
      spare->start = old_end;
      spare->end = new_end;
      spare->protection = protection;
      spare->max_protection = kAll;
      spare->kind = RegionKind::kHeap;
      spare->promised = true;
      insert_region(*spare.leak(), dead);
    }
    promised_pages_ += promise.keep();
  }
  break_ = wanted;
  return break_;
}

}  // namespace faultline
