// mremap and brk.
#include <machine/planted_bugs.h>

#include "mm/slab.h"
#include "mm/space.h"

namespace faultline {
namespace {
constexpr uint32_t kMayMove = 1, kFixed = 2;  // mremap(2)'s flags
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
    Pte pte = pte_load(source_slot);
    if (pte.is_empty()) return;  // truncated meanwhile
    Frame& frame = frame_record(pte.frame());
    if (!frame.is_counted()) {
        FreeBatch unused;
        slot_drop(source_record, source_slot, from.table_index(), unused);
        return;
    }
    // The frame's lock keeps reverse-map walkers away from both slots; only the tables' counts need more.
    FrameLock frame_lock(frame);
    pte_store(source_slot, Pte());
    source_record.table.live--;
    source_record.reverse--;
    if (!machine::planted(machine::Bug::kLocatorNotMoved))
        reverse_map_move(frame, Locator(source, from.table_index()), Locator(target, to.table_index()));
    if (source == target) {
        slot_fill(target_record, target_slot, to.table_index(), pte, FrameKind::kCounted);
        return;
    }
    // Both tables are ours and walkers hold a table only briefly and wait for nothing.
    for (;;) {
        TryTableLock target_lock(target_record);
        if (!target_lock) continue;
        slot_fill(target_record, target_slot, to.table_index(), pte, FrameKind::kCounted);
        return;
    }
}

void AddressSpace::move_entries(VirtAddr from, VirtAddr to, uint32_t bytes) {
    lower_range(from, from + bytes, kProtNone);
    VirtAddr last = from + (bytes - 1);
    for_each_table(from.directory_index(), last.directory_index(), [&](uint32_t index) NO_THREAD_SAFETY_ANALYSIS {
        FrameNumber table = pte_load(directory_slot(index)).frame();
        uint32_t first = index == from.directory_index() ? from.table_index() : 0;
        uint32_t end = index == last.directory_index() ? last.table_index() : kEntriesPerTable - 1;
        for (uint32_t i = first; i <= end; i++) {
            if (pte_load(table_slots(table)[i]).is_empty()) continue;
            VirtAddr page = table_start(index) + i * kPageSize;
            move_entry(page, to + (page - from));
        }
    });
}

Result<VirtAddr> AddressSpace::remap(VirtAddr old_start, uint32_t old_bytes, uint32_t new_bytes, uint32_t flags,
                                     VirtAddr new_start) {
    if (!old_start.is_page_aligned() || (flags & ~(kMayMove | kFixed)) || ((flags & kFixed) && !(flags & kMayMove)))
        return Errno::kINVAL;
    if (new_bytes == 0 || new_bytes > kKernelBase - kPageSize || old_bytes == 0 || old_bytes > kKernelBase) return Errno::kINVAL;
    uint32_t old_size = align_up(old_bytes, kPageSize), new_size = align_up(new_bytes, kPageSize);
    DeadRegions dead;
    Owned<Region> moved(TRY(slab_new<Region>()));
    LockGuard guard(lock_);
    Region* region = regions_.find(old_start);
    if (!region || region->end - old_start < old_size) return Errno::kFAULT;
    if (!(flags & kFixed)) {
        if (new_size <= old_size) {
            if (new_size < old_size) TRY(unmap_locked(old_start + new_size, old_start + old_size, dead));
            return old_start;
        }
        uint32_t more = new_size - old_size;
        if (mapped_pages_ + (more >> kPageShift) > space_limit_ >> kPageShift) return Errno::kNOMEM;
        bool is_room = kKernelBase - region->end.value() >= more && regions_.is_free(region->end, region->end + more);
        if (region->end == old_start + old_size && is_room) {
            regions_.resize(*region, region->start, region->end + more);
            mapped_pages_ += more >> kPageShift;
            merge_from(region, region->end, dead);
            return old_start;
        }
        if (!(flags & kMayMove)) return Errno::kNOMEM;
    } else if (new_start < old_start + old_size && old_start < new_start + new_size) {
        return Errno::kINVAL;  // the places overlap
    }
    MapRequest request;
    request.address = new_start;
    request.fixed = flags & kFixed;
    if (!request.fixed) request.address = VirtAddr(0);
    VirtAddr to = TRY(choose_address(request, new_size, dead));
    region = regions_.find(old_start);  // making room may have cut it
    uint32_t move_size = new_size < old_size ? new_size : old_size;
    TRY(split_at(old_start));
    TRY(split_at(old_start + old_size));
    TRY(prepare_move(old_start, to, move_size));
    if (move_size < old_size) TRY(own_tables_for_removal(old_start + move_size, old_start + old_size));
    region = regions_.find(old_start);
    moved->copy_attributes(*region);
    if (region->object) moved->object_offset = region->index_of(old_start);
    moved->start = to;
    moved->end = to + new_size;
    move_entries(old_start, to, move_size);
    insert_region(*moved.leak(), dead);
    ignore_result(unmap_locked(old_start, old_start + old_size, dead));  // a whole region with its own tables: cannot fail
    return to;
}

void AddressSpace::set_break_start(VirtAddr start) {
    LockGuard guard(lock_);
    break_start_ = break_ = start;
}

VirtAddr AddressSpace::set_break(VirtAddr wanted, uint64_t data_limit) {
    DeadRegions dead;
    auto fresh = slab_new<Region>();
    Owned<Region> spare(fresh.ok() ? fresh.value() : nullptr);
    LockGuard guard(lock_);
    if (wanted < break_start_ || wanted.value() > kKernelBase - kPageSize || wanted - break_start_ > data_limit) return break_;
    VirtAddr old_end(align_up(break_.value(), kPageSize)), new_end(align_up(wanted.value(), kPageSize));
    if (new_end < old_end) {
        if (!unmap_locked(new_end, old_end, dead).ok()) return break_;
    } else if (new_end > old_end) {
        uint32_t pages = (new_end - old_end) >> kPageShift;
        if (mapped_pages_ + pages > space_limit_ >> kPageShift || !regions_.is_free(old_end, new_end)) return break_;
        constexpr Protection kAll = kProtRead | kProtWrite | kProtExecute;
        Protection protection = with_execution(kProtRead | kProtWrite, kAll);
        Region* heap = regions_.find(old_end - 1);
        if (heap && heap->kind == RegionKind::kHeap && heap->protection == protection && !heap->locked) {
            regions_.resize(*heap, heap->start, new_end);
            mapped_pages_ += pages;
        } else {
            if (!spare) return break_;
            spare->start = old_end;
            spare->end = new_end;
            spare->protection = protection;
            spare->max_protection = kAll;
            spare->kind = RegionKind::kHeap;
            insert_region(*spare.leak(), dead);
        }
    }
    break_ = wanted;
    return break_;
}

}  // namespace faultline
