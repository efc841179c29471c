// /proc/meminfo, vmstat, and faultline/free_frames: where the machine's memory is, and what has been done with it.
#include <iterator>

#include "fs/block_batch.h"
#include "fs/block_device.h"
#include "fs/dentry.h"
#include "kernel/proc/contents.h"
#include "kernel/proc/drop_caches.h"
#include "kernel/process.h"
#include "mm/commit.h"
#include "mm/frame.h"
#include "mm/object.h"
#include "mm/slab.h"
#include "mm/swap.h"

namespace faultline {

namespace {

struct MemoryView {
  FrameStatistics frames;
  uint32_t buffers = 0;  // pages of the disks' own caches
  uint32_t of(FrameUse use) const { return frames.by_use[static_cast<size_t>(use)]; }
  uint32_t cached() const {
    uint32_t all = of(FrameUse::kObject);
    return all > buffers ? all - buffers : 0;
  }
};

MemoryView view_memory() {
  MemoryView view{frame_statistics()};
  BlockDevice* device;
  for (uint32_t i = 0; (device = block_device_at(i)); i++) view.buffers += device->object().resident_pages();
  return view;
}

// Pages of files that some page table names. Looked at one by one: nobody reads this often.
uint32_t mapped_file_pages() {
  uint32_t mapped = 0;
  for (uint32_t i = 0; i < frame_table_size(); i++) {
    const Frame& frame = frame_table[i];
    if (frame.use == FrameUse::kObject && frame.map.load(memory_order_relaxed) != 0) mapped++;
  }
  return mapped;
}

Result<void> show_meminfo(const ProcContext&, FormatSink& sink) {
  MemoryView view = view_memory();
  const SwapStatistics swap = swap_statistics();
  auto line = [&sink](StringView name, uint64_t pages) { format(sink, "{-15} {8} kB\n", name, proc_kilobytes(pages)); };
  line("MemTotal:", view.frames.total);
  line("MemFree:", view.frames.free);
  line("MemAvailable:", view.frames.free + view.of(FrameUse::kObject));
  line("Buffers:", view.buffers);
  line("Cached:", view.cached());
  line("SwapCached:", swap.cached);
  line("SwapTotal:", swap.total);
  line("SwapFree:", swap.free);
  line("Dirty:", objects_dirty_pages());
  line("AnonPages:", view.of(FrameUse::kAnonymous));
  line("Mapped:", mapped_file_pages());
  line("Slab:", view.of(FrameUse::kSlab));
  line("KernelStack:", view.of(FrameUse::kKernelStack));
  line("PageTables:", view.of(FrameUse::kPageTable) + view.of(FrameUse::kPageDirectory));
  line("CommitLimit:", commit_limit());
  line("Committed_AS:", commit_promised.load(memory_order_relaxed));
  return {};
}

Result<void> show_vmstat(const ProcContext&, FormatSink& sink) {
  MemoryView view = view_memory();
  format(sink, "nr_free_pages {}\nnr_anon_pages {}\nnr_file_pages {}\n", view.frames.free, view.of(FrameUse::kAnonymous),
         view.of(FrameUse::kObject));
  format(sink, "nr_mapped {}\nnr_dirty {}\n", mapped_file_pages(), objects_dirty_pages());
  format(sink, "nr_page_table_pages {}\nnr_kernel_stack {}\n", view.of(FrameUse::kPageTable) + view.of(FrameUse::kPageDirectory),
         proc_kilobytes(view.of(FrameUse::kKernelStack)));
  BlockTransfers transfers = block_transfers();
  constexpr uint32_t kSectorsPerKilobyte = 1024 / kSectorSize;
  format(sink, "pgpgin {}\npgpgout {}\n", transfers.sectors_read / kSectorsPerKilobyte, transfers.sectors_written / kSectorsPerKilobyte);
  const SwapStatistics swap = swap_statistics();
  format(sink, "pswpin {}\npswpout {}\n", swap.in, swap.out);
  MachineUsage usage = machine_usage();
  format(sink, "pgalloc_normal {}\npgfree {}\n", view.frames.allocated, view.frames.freed);
  format(sink, "pgfault {}\npgmajfault {}\n", usage.minor_faults + usage.major_faults, usage.major_faults);
  return {};
}

// The size classes, as Linux shows its own.
Result<void> show_slabinfo(const ProcContext&, FormatSink& sink) {
  sink.put("slabinfo - version: 2.1\n");
  sink.put(
      "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> "
      "<sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
  SlabStatistics of;
  for (uint32_t i = 0; slab_statistics(i, of); i++) {
    char text[20];
    BufferSink name(text);
    format(name, "kmalloc-{}", of.slot_bytes);
    format(sink, "{-17} {6} {6} {6} {4} {4} : tunables    0    0    0 : slabdata {6} {6}      0\n", name.text(), of.used,
           of.slabs * of.slots_per_slab, of.slot_bytes, of.slots_per_slab, of.pages_per_slab, of.slabs, of.slabs);
  }
  return {};
}

// The number of free frames when nothing is kept that could be given back, mapped file pages included: what a test of leaks compares.
Result<void> show_free_frames(const ProcContext&, FormatSink& sink) {
  format(sink, "{}\n", free_frames_without_caches());
  return {};
}

// The same by what the frames are used for, and the slabs' allocations: a slab may stay for one of its slots, so that their frames say
// less than these.
Result<void> show_frames(const ProcContext&, FormatSink& sink) {
  constexpr const char* kUses[] = {"free", "reserved", "kernel", "slab", "stack", "directory", "table", "anonymous", "object"};
  free_frames_without_caches();
  FrameStatistics frames = frame_statistics();
  // Pages in swap are somebody's memory as well: whether they are there or here says nothing about leaks.
  const SwapStatistics swap = swap_statistics();
  const uint32_t swapped = swap.total - swap.free - swap.cached;
  frames.by_use[static_cast<size_t>(FrameUse::kAnonymous)] += swapped;
  frames.by_use[static_cast<size_t>(FrameUse::kFree)] -= swapped;
  for (uint32_t use = 0; use < std::size(kUses); use++) format(sink, "{} {}\n", kUses[use], frames.by_use[use]);
  format(sink, "allocations {}\npromised {}\n", slab_allocations(), commit_promised.load(memory_order_relaxed));
  return {};
}

constexpr ProcNode kMeminfo = proc_file("meminfo", &show_meminfo);
constexpr ProcNode kVmstat = proc_file("vmstat", &show_vmstat);
constexpr ProcNode kSlabinfo = {.name = "slabinfo", .mode = kProcPrivateFile, .show = &show_slabinfo};
constexpr ProcNode kFreeFrames = proc_file("free_frames", &show_free_frames);
constexpr ProcNode kFrames = proc_file("frames", &show_frames);
#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG
constexpr const ProcNode* kOwn[] = {&kFreeFrames, &kFrames, &kProcSwapNode, &kProcBlockFaultsNode, &kProcProvokeNode};
#else
constexpr const ProcNode* kOwn[] = {&kFreeFrames, &kFrames, &kProcSwapNode, &kProcBlockFaultsNode};
#endif
constexpr ProcNode kFaultline = proc_directory("faultline", kOwn);

}  // namespace

void proc_register_memory() {
  proc_register(kMeminfo);
  proc_register(kVmstat);
  proc_register(kSlabinfo);
  proc_register(kFaultline);
}

}  // namespace faultline
