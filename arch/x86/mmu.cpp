// The kernel's half of every page directory, made once at boot and never changed afterwards: no directory entry of it is ever
// written again, so new directories copy it and no other needs to be told (xv6: kmap, setupkvm). Only entries in the
// tables of the stack and device areas come and go.
#include "arch/mmu.h"

#include <algorithm>
#include <array>

#include "arch/start.h"
#include "arch/x86/paging.h"
#include "arch/x86/per_cpu.h"
#include "lib/lock.h"
#include "lib/string.h"

extern "C" char kernel_text_start[], kernel_data_start[], kernel_image_start[], kernel_image_end[], boot_stack_guard[];
extern "C" uint32_t boot_directory[];

namespace faultline {

namespace {

constexpr uint32_t kSlotPages = kKernelStackPages + 1;  // the lowest is the guard
constexpr uint32_t kMaxStackTables = (kDeviceArea - kStackArea) / kTableSpan;
constexpr uint32_t kDeviceTables = (kDeviceAreaEnd - kDeviceArea + kTableSpan - 1) / kTableSpan;
constexpr uint32_t kFramesPerStackTable = 16 * 1024 * 1024 / kPageSize;  // one table, 341 stacks, for each 16 MiB of RAM
constexpr uint32_t kMaxImageTables = 2;                                  // linker.ld asserts that the image ends below 8 MiB
constexpr uint32_t kKernelPage = Pte::kPresent | Pte::kWritable;

struct alignas(kPageSize) Table {
  std::array<uint32_t, kEntriesPerTable> entries;
};
[[gnu::section(".bss.pages")]] constinit Table kernel_directory = {};
[[gnu::section(".bss.pages")]] constinit Table image_tables[kMaxImageTables] = {};

// Set at boot.
constinit PteSlot* stack_slots = nullptr;  // the entries of the stack area, contiguous
constinit uint32_t stack_slot_count = 0;
constinit PteSlot* device_slots = nullptr;
constinit uint32_t device_pages_used = 0;

// One bit for each stack slot; set: in use.
SpinLock<LockRank::kLeaf> stack_lock;
constinit std::array<uint32_t, (kMaxStackTables * kEntriesPerTable / kSlotPages + 31) / 32> stack_map GUARDED_BY(stack_lock) = {};
constinit uint32_t stack_hint GUARDED_BY(stack_lock) = 0;  // no free bit in a word before this one

uint32_t address_of(const void* pointer) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(pointer)); }
uint32_t physical(const void* pointer) { return address_of(pointer) - kKernelBase; }

// The image's pages one by one: code and constants cannot be written, the boot stack has a guard, all else is plain RAM.
void fill_image_table(uint32_t index) {
  for (uint32_t i = 0; i < kEntriesPerTable; i++) {
    uint32_t offset = index * kTableSpan + i * kPageSize, address = kKernelBase + offset;
    uint32_t flags = kKernelPage | Pte::kGlobal;
    if (address >= address_of(kernel_image_start) && address < address_of(kernel_data_start)) flags &= ~Pte::kWritable;
    image_tables[index].entries[i] = address == address_of(boot_stack_guard) ? 0 : offset | flags;
  }
}

void fill_direct_map(FrameNumber memory_end) {
  uint32_t image_tables_used = pages_for(physical(kernel_image_end)) / kEntriesPerTable + 1;
  for (uint32_t i = 0; i < (kDirectMapEnd - kKernelBase) / kTableSpan; i++) {
    if (i * kEntriesPerTable >= memory_end.value()) break;
    uint32_t& entry = kernel_directory.entries[kKernelDirectoryIndex + i];
    if (i < image_tables_used) {
      fill_image_table(i);
      entry = physical(&image_tables[i]) | kKernelPage;
    } else {
      entry = i * kTableSpan | kKernelPage | Pte::kLarge | Pte::kGlobal;
    }
  }
}

void copy_kernel_half(uint32_t* directory) {
  memcpy(directory + kKernelDirectoryIndex, kernel_directory.entries.data() + kKernelDirectoryIndex,
         (kEntriesPerTable - kKernelDirectoryIndex) * sizeof(uint32_t));
}

PteSlot* add_tables(uint32_t area, uint32_t count, BootFrameSource source) {
  FrameNumber first = source(count);
  for (uint32_t i = 0; i < count; i++) {
    page_zero(first + i);
    kernel_directory.entries[area / kTableSpan + i] = PhysAddr::of(first + i).value() | kKernelPage;
  }
  return static_cast<PteSlot*>(direct_map(first));
}

PteSlot* stack_slot(uint32_t index) { return stack_slots + index * kSlotPages; }
uint32_t stack_address(uint32_t index) { return kStackArea + index * kSlotPages * kPageSize; }

// kNoSlot when all are in use.
constexpr uint32_t kNoSlot = ~0u;
uint32_t take_stack_slot() {
  LockGuard guard(stack_lock);
  for (uint32_t word = stack_hint; word * 32 < stack_slot_count; word++) {
    if (stack_map[word] == ~0u) continue;
    uint32_t index = word * 32 + static_cast<uint32_t>(__builtin_ctz(~stack_map[word]));
    if (index >= stack_slot_count) break;
    stack_map[word] |= 1u << index % 32;
    stack_hint = word;
    return index;
  }
  return kNoSlot;
}

void give_stack_slot(uint32_t index) {
  LockGuard guard(stack_lock);
  stack_map[index / 32] &= ~(1u << index % 32);
  stack_hint = std::min(stack_hint, index / 32);
}

}  // namespace

void mmu_initialize(FrameNumber memory_end, BootFrameSource source) {
  uint32_t stack_tables = std::clamp(memory_end.value() / kFramesPerStackTable, 1u, kMaxStackTables);
  stack_slots = add_tables(kStackArea, stack_tables, source);
  stack_slot_count = stack_tables * kEntriesPerTable / kSlotPages;
  device_slots = add_tables(kDeviceArea, kDeviceTables, source);
  fill_direct_map(memory_end);
  mmu_activate(mmu_kernel_directory());
  double_fault_directory_set(physical(&kernel_directory));
}

void mmu_initialize_directory(FrameNumber directory) {
  uint32_t* entries = static_cast<uint32_t*>(direct_map(directory));
  memset(entries, 0, kKernelDirectoryIndex * sizeof(uint32_t));
  copy_kernel_half(entries);
}
void mmu_complete_boot_directory() { copy_kernel_half(boot_directory); }

FrameNumber mmu_active_directory() {
  uint32_t cr3;
  asm volatile("movl %%cr3, %0" : "=r"(cr3));
  return FrameNumber(cr3 >> kPageShift);
}
FrameNumber mmu_kernel_directory() { return FrameNumber(physical(&kernel_directory) >> kPageShift); }

void* mmu_map_device(PhysAddr address, uint32_t bytes) {
  uint32_t offset = address.value() & kPageMask;
  uint32_t pages = pages_for(uint64_t{offset} + bytes);
  if (pages > (kDeviceAreaEnd - kDeviceArea) / kPageSize - device_pages_used) return nullptr;
  uint32_t first = device_pages_used;
  device_pages_used += pages;
  for (uint32_t i = 0; i < pages; i++)
    pte_store(device_slots[first + i], Pte(address.frame() + i, kKernelPage | Pte::kCacheDisable | Pte::kWriteThrough));
  return reinterpret_cast<void*>(kDeviceArea + first * kPageSize + offset);
}

void* mmu_map_kernel_stack(std::span<const FrameNumber, kKernelStackPages> frames) {
  uint32_t index = take_stack_slot();
  if (index == kNoSlot) return nullptr;
  for (uint32_t i = 0; i < kKernelStackPages; i++) pte_store(stack_slot(index)[1 + i], Pte(frames[i], kKernelPage));
  return reinterpret_cast<void*>(stack_address(index) + kSlotPages * kPageSize);
}

void mmu_unmap_kernel_stack(void* top) {
  uint32_t index = (address_of(top) - kStackArea) / (kSlotPages * kPageSize) - 1;
  ASSERT(index < stack_slot_count && address_of(top) == stack_address(index + 1));
  for (uint32_t i = 0; i < kKernelStackPages; i++) pte_exchange(stack_slot(index)[1 + i], Pte());
  mmu_flush_cpus(~0u, {VirtAddr(stack_address(index) + kPageSize), kKernelStackPages});
  give_stack_slot(index);
}

bool mmu_is_stack_guard(VirtAddr address) {
  if (address.page_floor().value() == address_of(boot_stack_guard)) return true;
  if (address.value() < kStackArea || address.value() >= kStackArea + stack_slot_count * kSlotPages * kPageSize) return false;
  return (address.value() - kStackArea) / kPageSize % kSlotPages == 0;
}

}  // namespace faultline
