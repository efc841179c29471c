// The paging hardware as mm sees it: entry formats, the active directory, the TLB of this CPU and of the others.
// Tables are frames reached through the direct map. arch/x86 implements it on real hardware; host_tests/support on an
// emulated machine whose TLB never evicts by itself. Formats: Intel SDM volume 3, section 4.3 (32-bit paging).
#pragma once

#include <cstdint>
#include <span>

#include "arch/cpu.h"
#include "lib/address.h"
#include "lib/atomic.h"

namespace faultline {

inline constexpr uint32_t kEntriesPerTable = 1024;
inline constexpr uint32_t kTableSpan = kEntriesPerTable * kPageSize;  // 4 MiB
inline constexpr uint32_t kKernelDirectoryIndex = kKernelBase >> 22;  // first kernel slot of a directory

// One page-table or page-directory entry: `physical address | flags`. When P is clear the other 31 bits are software's:
// mm/pte.h says what they mean. As directory entry the same bits apply to all 4 MiB below it.
class Pte {
 public:
  static constexpr uint32_t kPresent = 1u << 0;       // P
  static constexpr uint32_t kWritable = 1u << 1;      // W
  static constexpr uint32_t kUser = 1u << 2;          // U
  static constexpr uint32_t kWriteThrough = 1u << 3;  // PWT
  static constexpr uint32_t kCacheDisable = 1u << 4;  // PCD
  static constexpr uint32_t kAccessed = 1u << 5;      // A: set by the processor
  static constexpr uint32_t kDirty = 1u << 6;         // D: set by the processor, leaf entries only
  static constexpr uint32_t kLarge = 1u << 7;         // PS: a 4 MiB page, directory entries only
  static constexpr uint32_t kGlobal = 1u << 8;        // G: survives a CR3 load
  static constexpr uint32_t kSoftware1 = 1u << 9;     // bits 9..11 belong to the kernel
  static constexpr uint32_t kSoftware2 = 1u << 10;
  static constexpr uint32_t kSoftware3 = 1u << 11;

  constexpr Pte() = default;
  constexpr explicit Pte(uint32_t raw) : raw_(raw) {}
  constexpr Pte(FrameNumber frame, uint32_t flags) : raw_(frame.value() << kPageShift | flags) {}

  constexpr uint32_t raw() const { return raw_; }
  constexpr bool is_empty() const { return raw_ == 0; }
  constexpr bool is_present() const { return raw_ & kPresent; }
  constexpr bool is_writable() const { return raw_ & kWritable; }
  constexpr bool is_accessed() const { return raw_ & kAccessed; }
  constexpr bool is_dirty() const { return raw_ & kDirty; }
  constexpr FrameNumber frame() const { return FrameNumber(raw_ >> kPageShift); }
  constexpr uint32_t flags() const { return raw_ & kPageMask; }
  constexpr Pte with(uint32_t flags) const { return Pte(raw_ | flags); }
  constexpr Pte without(uint32_t flags) const { return Pte(raw_ & ~flags); }
  constexpr bool operator==(const Pte&) const = default;

 private:
  uint32_t raw_ = 0;
};
static_assert(sizeof(Pte) == 4);
static_assert(Pte(FrameNumber(2), Pte::kPresent | Pte::kWritable | Pte::kUser).raw() == 0x2007);

// The kernel's pointer to a frame of RAM (xv6: P2V) and back (V2P). Only frames below the direct map's end.
void* direct_map(FrameNumber frame);
FrameNumber direct_map_frame(const void* pointer);
// Zeroes or copies one page.
void page_zero(FrameNumber frame);
void page_copy(FrameNumber destination, FrameNumber source);
// This CPU's TLB (and its cached directory entries for that address).
void mmu_flush_page(VirtAddr page);
void mmu_flush_all();
// Loads CR3 on this CPU (xv6: switchuvm); drops all its non-global TLB entries, also if it is loaded.
void mmu_activate(FrameNumber directory);
}  // namespace faultline
#include <machine/mmu_inline.h>
namespace faultline {
inline uint8_t* direct_map_bytes(FrameNumber frame) { return static_cast<uint8_t*>(direct_map(frame)); }

// A slot of a table or directory. The processor sets A and D at any time, so changing a present entry is an exchange
// or compare-exchange, whose old value is the truth; a plain store only replaces entries that are not present.
using PteSlot = Atomic<uint32_t>;
static_assert(sizeof(PteSlot) == 4);
inline std::span<PteSlot, kEntriesPerTable> table_slots(FrameNumber table) {
  return std::span<PteSlot, kEntriesPerTable>(static_cast<PteSlot*>(direct_map(table)), kEntriesPerTable);
}
inline Pte pte_load(const PteSlot& slot) { return Pte(slot.load(memory_order_acquire)); }
inline void pte_store(PteSlot& slot, Pte pte) { slot.store(pte.raw(), memory_order_release); }
inline Pte pte_exchange(PteSlot& slot, Pte pte) { return Pte(slot.exchange(pte.raw(), memory_order_seq_cst)); }
inline bool pte_compare_exchange(PteSlot& slot, Pte& expected, Pte desired) {
  uint32_t raw = expected.raw();
  bool done = slot.compare_exchange_strong(raw, desired.raw(), memory_order_seq_cst);
  expected = Pte(raw);
  return done;
}

// Copies the kernel's half (identical in all directories, xv6: setupkvm) into a new directory whose user half is zero.
void mmu_initialize_directory(FrameNumber directory);

FrameNumber mmu_active_directory();
// The directory with only the kernel's half, for threads without a space of their own.
FrameNumber mmu_kernel_directory();

// What must be forgotten; past 32 pages the whole TLB goes.
struct FlushRange {
  VirtAddr start;
  uint32_t pages = 0;
};
inline constexpr uint32_t kFlushAllThreshold = 32;

// Flushes `range` on every CPU of `cpus`, this one included if named, and returns when all have done so. Interrupts must be
// on, or the caller serves its own shootdowns while waiting (arch/x86/tlb.cpp does). Spin locks may be held by the
// caller: the handler takes none.
void mmu_flush_cpus(CpuMask cpus, FlushRange range);
inline void mmu_flush_all_on(CpuMask cpus) { mmu_flush_cpus(cpus, {VirtAddr(0), ~0u}); }

// Maps device memory uncached into the kernel's own area, for ever. Returns null when the area is used up. Boot only.
void* mmu_map_device(PhysAddr address, uint32_t bytes);

// Kernel stacks: `kKernelStackPages` frames mapped above an unmapped guard page. `map` may fail for want of address
// space (null). Unmapping flushes everywhere before it returns (an emulated TLB is emptied), so keep stacks for reuse. The caller owns
// the frames.
inline constexpr uint32_t kKernelStackPages = 2;
void* mmu_map_kernel_stack(std::span<const FrameNumber, kKernelStackPages> frames);  // the top of the stack
void mmu_unmap_kernel_stack(void* top);

}  // namespace faultline
