// /proc/PID/pagemap, as Linux has it, and /proc/PID/pagetables, our own: the page tables themselves, entry by entry.
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

constexpr uint64_t kEntry = sizeof(uint64_t);

// One entry of either file: eight bytes.
using EntryOf = uint64_t (*)(AddressSpace& space, uint64_t index, bool tells_frames);

// Files of eight-byte entries that are read at random, whole entries only. Which frames things are in is root's business.
Result<size_t> read_entries(const ProcContext& context, uint64_t offset, uint64_t end, IoBuffer& buffer, EntryOf entry_of) {
  if (offset % kEntry != 0 || buffer.remaining() % kEntry != 0) return Errno::kINVAL;
  Ref<AddressSpace> space = TRY(proc_inspectable_process(context))->shared_space();
  bool tells_frames = current_process().credentials().is_superuser();
  size_t done = 0;
  while (space && offset < end && buffer.remaining() > 0) {
    uint64_t entries[64];
    size_t count = 0;
    for (; count < 64 && offset < end && count * kEntry < buffer.remaining(); count++, offset += kEntry)
      entries[count] = entry_of(*space, offset / kEntry, tells_frames);
    Result<size_t> moved = buffer.put(entries, count * kEntry);
    if (!moved.ok() && done == 0) return moved.error();
    if (!moved.ok()) break;
    done += moved.value();
    if (moved.value() < count * kEntry) break;
  }
  return done;
}

// admin-guide/mm/pagemap of Linux's documentation. There are no soft-dirty bits.
uint64_t pagemap_entry(AddressSpace& space, uint64_t index, bool tells_frames) {
  constexpr uint64_t kPresent = 1ull << 63, kSwapped = 1ull << 62, kFileOrShared = 1ull << 61, kExclusive = 1ull << 56;
  constexpr uint32_t kAreaBits = 5;
  EntryView view = space.view_entry(VirtAddr(static_cast<uint32_t>(index) << kPageShift));
  if (pte_is_swapped(view.entry)) {
    const SwapSlot slot = pte_swap_slot(view.entry);
    return kSwapped | (tells_frames ? slot.area() | uint64_t{slot.page()} << kAreaBits : 0);
  }
  if (!view.entry.is_present()) return 0;
  uint64_t entry = kPresent | (tells_frames ? view.entry.frame().value() : 0);
  if (view.use == FrameUse::kObject) entry |= kFileOrShared;
  if (view.users == 1) entry |= kExclusive;
  return entry;
}

// user/include/faultline/pagetables.h has the format: the directory, then the table below each of its entries.
uint64_t pagetables_entry(AddressSpace& space, uint64_t index, bool tells_frames) {
  auto number = static_cast<uint32_t>(index);
  VirtAddr page((number - kEntriesPerTable) << kPageShift);
  EntryView view = number < kEntriesPerTable ? space.view_directory_entry(number) : space.view_entry(page);
  bool is_kernel = number < kEntriesPerTable ? number >= kKernelDirectoryIndex : !page.is_user();
  if (is_kernel && !tells_frames) return 0;
  uint32_t raw = tells_frames ? view.entry.raw() : view.entry.flags();
  constexpr uint32_t kMostUsers = 0xffffff;
  uint32_t users = view.users < kMostUsers ? view.users : kMostUsers;
  return raw | static_cast<uint64_t>(users) << 32 | static_cast<uint64_t>(view.use) << 56;
}

}  // namespace

Result<size_t> proc_read_pagemap(const ProcContext& context, uint64_t offset, IoBuffer& buffer) {
  return read_entries(context, offset, kEntry * (kKernelBase >> kPageShift), buffer, &pagemap_entry);
}

Result<size_t> proc_read_pagetables(const ProcContext& context, uint64_t offset, IoBuffer& buffer) {
  return read_entries(context, offset, kEntry * kEntriesPerTable * (1 + kEntriesPerTable), buffer, &pagetables_entry);
}

}  // namespace faultline
