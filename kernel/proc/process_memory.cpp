// /proc/PID/maps, smaps, smaps_rollup, cmdline and environ: what a process has in its memory.
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

// Where a mapping's name stands in its line.
constexpr size_t kNameColumn = 49;

void put_region(const RegionView& region, FormatSink& sink) {
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
  if (region.kind == RegionKind::kHeap)
    sink.put("[heap]");
  else if (region.kind == RegionKind::kStack)
    sink.put("[stack]");
  else if (region.kind == RegionKind::kVdso)
    sink.put("[vdso]");
  else if (region.kind == RegionKind::kTimePage)
    sink.put("[vvar]");
  else if (backing)
    backing->describe(sink);
  sink.put("\n");
}

bool put_map(const RegionView& region, void* context) {
  put_region(region, *static_cast<FormatSink*>(context));
  return true;
}

// The lines that smaps and smaps_rollup share, as Linux names them. Nothing here is huge or lazily freed.
void put_statistics(FormatSink& sink, const RegionStatistics& pages) {
  auto line = [&sink](StringView name, uint64_t kilobytes) { format(sink, "{-15} {8} kB\n", name, kilobytes); };
  line("Rss:", proc_kilobytes(pages.resident));
  line("Pss:", proc_kilobytes(pages.proportional) / RegionStatistics::kWhole);
  line("Shared_Clean:", proc_kilobytes(pages.shared_clean));
  line("Shared_Dirty:", proc_kilobytes(pages.shared_dirty));
  line("Private_Clean:", proc_kilobytes(pages.private_clean));
  line("Private_Dirty:", proc_kilobytes(pages.private_dirty));
  line("Referenced:", proc_kilobytes(pages.referenced));
  line("Anonymous:", proc_kilobytes(pages.anonymous));
  line("Swap:", proc_kilobytes(pages.swapped));
  line("SwapPss:", proc_kilobytes(pages.swapped_proportional) / RegionStatistics::kWhole);
}

// The letters of proc(5), VmFlags.
void put_flags(FormatSink& sink, const RegionView& region) {
  sink.put("VmFlags:");
  auto flag = [&sink](bool is_set, StringView name) {
    if (is_set) format(sink, " {}", name);
  };
  flag(region.protection & kProtRead, "rd");
  flag(region.protection & kProtWrite, "wr");
  flag(region.protection & kProtExecute, "ex");
  flag(region.shared, "sh");
  flag(region.max_protection & kProtRead, "mr");
  flag(region.max_protection & kProtWrite, "mw");
  flag(region.max_protection & kProtExecute, "me");
  flag(region.shared && (region.max_protection & kProtWrite), "ms");
  flag(region.grows_down, "gd");
  flag(region.locked, "lo");
  flag(region.no_reserve, "nr");
  sink.put("\n");
}

bool put_smap(const RegionView& region, const RegionStatistics& pages, void* context) {
  FormatSink& sink = *static_cast<FormatSink*>(context);
  put_region(region, sink);
  format(sink, "{-15} {8} kB\n{-15} {8} kB\n{-15} {8} kB\n", "Size:", (region.end - region.start) >> 10, "KernelPageSize:", 4u,
         "MMUPageSize:", 4u);
  put_statistics(sink, pages);
  format(sink, "{-15} {8} kB\n", "Locked:", region.locked ? proc_kilobytes(pages.proportional) / RegionStatistics::kWhole : 0);
  put_flags(sink, region);
  return true;
}

struct Rollup {
  VirtAddr start, end;
  RegionStatistics sum;
};

bool add_region(const RegionView& region, const RegionStatistics& pages, void* context) {
  Rollup& all = *static_cast<Rollup*>(context);
  if (all.end == VirtAddr(0)) all.start = region.start;
  all.end = region.end;
  RegionStatistics& sum = all.sum;
  sum.resident += pages.resident;
  sum.proportional += pages.proportional;
  sum.shared_clean += pages.shared_clean;
  sum.shared_dirty += pages.shared_dirty;
  sum.private_clean += pages.private_clean;
  sum.private_dirty += pages.private_dirty;
  sum.referenced += pages.referenced;
  sum.anonymous += pages.anonymous;
  sum.swapped += pages.swapped;
  sum.swapped_proportional += pages.swapped_proportional;
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
  if (Ref<AddressSpace> space = process->shared_space()) space->for_each_region(&put_map, &sink);
  return {};
}

Result<void> proc_show_smaps(const ProcContext& context, FormatSink& sink) {
  Ref<Process> process = TRY(proc_inspectable_process(context));
  if (Ref<AddressSpace> space = process->shared_space()) space->for_each_region_counted(&put_smap, &sink);
  return {};
}

Result<void> proc_show_smaps_rollup(const ProcContext& context, FormatSink& sink) {
  Ref<Process> process = TRY(proc_inspectable_process(context));
  Ref<AddressSpace> space = process->shared_space();
  if (!space) return Errno::kSRCH;
  Rollup all;
  space->for_each_region_counted(&add_region, &all);
  format(sink, "{08x}-{08x} ---p 00000000 00:00 0                          [rollup]\n", all.start, all.end);
  put_statistics(sink, all.sum);
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
