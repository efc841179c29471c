// /proc/PID/maps, cmdline and environ: what a process has in its memory.
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
