// /proc/PID/maps, pagemap, cmdline and environ: what a process has in its memory.
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

// Where a mapping's name stands in its line.
constexpr size_t kNameColumn = 49;

bool put_region(const RegionView& region, void* context) {
  FormatSink& sink = *static_cast<FormatSink*>(context);
  char text[80];
  BufferSink line(text);
  RegionBacking* backing = region.backing;
  uint32_t device = backing ? backing->device() : 0;
  uint64_t offset = backing ? region.object_offset.byte() : 0;
  format(line, "{08x}-{08x} {}{}{}{} {08x} {02x}:{02x} {} ", region.start, region.end, region.protection & kProtRead ? 'r' : '-',
         region.protection & kProtWrite ? 'w' : '-', region.protection & kProtExecute ? 'x' : '-', region.shared ? 's' : 'p', offset,
         device >> 8 & 0xfff, (device & 0xff) | (device >> 12 & 0xfff00), backing ? backing->inode_number() : 0);
  bool has_name = backing || region.kind != RegionKind::kAnonymousOrFile;
  while (has_name && line.needed() < kNameColumn) line.put(" ");
  sink.put(line.text());
  if (region.kind == RegionKind::kHeap) sink.put("[heap]");
  else if (region.kind == RegionKind::kStack) sink.put("[stack]");
  else if (region.kind == RegionKind::kVdso) sink.put("[vdso]");
  else if (backing) backing->describe(sink);
  sink.put("\n");
  return true;
}

// Copies a range of the process' memory, as far as it is there.
void put_memory(FormatSink& sink, AddressSpace& space, VirtAddr start, VirtAddr end) {
  while (start < end) {
    char piece[256];
    size_t wanted = end - start < sizeof piece ? end - start : sizeof piece;
    Result<size_t> got = space.read_foreign(start, piece, wanted);
    if (!got.ok() || got.value() == 0) return;
    sink.put({piece, got.value()});
    start = start + static_cast<uint32_t>(got.value());
  }
}

}  // namespace

Result<void> proc_show_maps(const ProcContext& context, FormatSink& sink) {
  Ref<Process> process = TRY(proc_inspectable_process(context));
  if (Ref<AddressSpace> space = process->shared_space()) space->for_each_region(&put_region, &sink);
  return {};
}

// Eight bytes for each page of the address space (pagemap in the kernel's documentation of Linux): bit 63 it is present, bits 0 to 54 its
// frame, which only root is told.
Result<size_t> proc_read_pagemap(const ProcContext& context, uint64_t offset, IoBuffer& buffer) {
  constexpr uint64_t kEntry = sizeof(uint64_t), kPresent = 1ull << 63, kEnd = kEntry * (kKernelBase >> kPageShift);
  if (offset % kEntry != 0 || buffer.remaining() % kEntry != 0) return Errno::kINVAL;
  Ref<AddressSpace> space = TRY(proc_inspectable_process(context))->shared_space();
  bool tells_frames = current_process().credentials().is_superuser();
  size_t done = 0;
  while (space && offset < kEnd && buffer.remaining() > 0) {
    uint64_t entries[64];
    size_t count = 0;
    for (; count < 64 && offset < kEnd && count * kEntry < buffer.remaining(); count++, offset += kEntry) {
      Pte pte = space->entry_of(VirtAddr(static_cast<uint32_t>(offset / kEntry) << kPageShift));
      entries[count] = pte.is_present() ? kPresent | (tells_frames ? pte.frame().value() : 0) : 0;
    }
    Result<size_t> moved = buffer.put(entries, count * kEntry);
    if (!moved.ok() && done == 0) return moved.error();
    if (!moved.ok()) break;
    done += moved.value();
    if (moved.value() < count * kEntry) break;
  }
  return done;
}

Result<void> proc_show_cmdline(const ProcContext& context, FormatSink& sink) {
  Ref<Process> process = TRY(proc_process(context));
  ProgramLayout layout = process->layout();
  if (Ref<AddressSpace> space = process->shared_space()) put_memory(sink, *space, layout.arguments_start, layout.arguments_end);
  return {};
}

Result<void> proc_show_environ(const ProcContext& context, FormatSink& sink) {
  Ref<Process> process = TRY(proc_inspectable_process(context));
  ProgramLayout layout = process->layout();
  if (Ref<AddressSpace> space = process->shared_space()) put_memory(sink, *space, layout.environment_start, layout.environment_end);
  return {};
}

}  // namespace faultline
