// msync, madvise, mincore, mlock.
#include "mm/slab.h"
#include "mm/space.h"
#include "mm/user_memory.h"

namespace faultline {
namespace {

// madvise(2)'s numbers.
constexpr uint32_t kWillNeed = 3, kDontNeed = 4, kFree = 8;
constexpr uint32_t kSyncAsync = 1, kSyncInvalidate = 2, kSyncSync = 4;  // msync(2)'s flags

// Page-aligned and within user space; `end` is past the last page.
Result<VirtAddr> end_of_range(VirtAddr start, uint32_t bytes) {
    if (!start.is_page_aligned()) return Errno::kINVAL;
    uint64_t end = start.value() + align_up<uint64_t>(bytes, kPageSize);
    if (end > kKernelBase) return Errno::kNOMEM;
    return VirtAddr(static_cast<uint32_t>(end));
}

}  // namespace

Result<void> AddressSpace::sync(VirtAddr start, uint32_t bytes, uint32_t flags) {
    if ((flags & ~(kSyncAsync | kSyncInvalidate | kSyncSync)) || ((flags & kSyncAsync) && (flags & kSyncSync)))
        return Errno::kINVAL;
    VirtAddr end = TRY(end_of_range(start, bytes));
    Result<void> result;
    // Region by region, with nothing held during the write-back.
    while (start < end) {
        Ref<Object> object;
        PageIndex first;
        VirtAddr region_end;
        {
            SharedLockGuard guard(lock_);
            Region* region = regions_.find(start);
            if (!region) return Errno::kNOMEM;
            region_end = region->end < end ? region->end : end;
            first = region->index_of(start);
            if (region->shared) object = region->object;
        }
        if (object && (flags & kSyncSync)) {
            auto written = object->write_back(first, (region_end - start) >> kPageShift, WriteBack::kWait);
            if (!written.ok() && result.ok()) result = written;
        }
        start = region_end;
    }
    return result;
}

Result<void> AddressSpace::advise(VirtAddr start, uint32_t bytes, uint32_t advice) {
    VirtAddr end = TRY(end_of_range(start, bytes));
    constexpr uint32_t kHintsThatMayBeIgnored = 1u << 0 | 1u << 1 | 1u << 2 | 1u << kWillNeed | 1u << 12 | 1u << 13 |
                                                1u << 14 | 1u << 15 | 1u << 16 | 1u << 17;
    bool is_drop = advice == kDontNeed || advice == kFree;
    if (!is_drop && (advice > 31 || !(kHintsThatMayBeIgnored & 1u << advice))) return Errno::kINVAL;
    if (start == end) return {};
    LockGuard guard(lock_);
    if (!is_mapped(start, end)) return Errno::kNOMEM;
    if (!is_drop) return {};
    for (Region* region = regions_.first_after(start); region && region->start < end; region = RegionSet::next(*region))
        if (region->locked) return Errno::kINVAL;
    TRY(own_tables_for_removal(start, end));
    clear_range(start, end);
    return {};
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

Result<void> AddressSpace::change_locked_flag(VirtAddr start, uint32_t bytes, bool locked) {
    VirtAddr end = TRY(end_of_range(start.page_floor(), bytes + start.page_offset()));
    start = start.page_floor();
    if (start == end) return {};
    {
        DeadRegions dead;
        LockGuard guard(lock_);
        if (!is_mapped(start, end)) return Errno::kNOMEM;
        Result<void> split = split_at_both(start, end);
        if (split.ok())
            for (Region* region = regions_.find(start); region && region->start < end; region = RegionSet::next(*region))
                region->locked = locked;
        merge_from(regions_.find(start), end + kPageSize, dead);
        TRY(split);
    }
    if (locked) populate(start, end);
    return {};
}

Result<void> AddressSpace::lock_pages(VirtAddr start, uint32_t bytes) { return change_locked_flag(start, bytes, true); }
Result<void> AddressSpace::unlock_pages(VirtAddr start, uint32_t bytes) { return change_locked_flag(start, bytes, false); }

}  // namespace faultline
