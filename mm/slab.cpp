// The slab allocator. Each size class carves slabs (1 to 4 contiguous frames) into equal slots; a slab's header stands at its start, so
// that free finds it from the slot's address alone. A per-CPU magazine of slots keeps the common case short: no list is walked.
#include "mm/slab.h"

#include <machine/planted_bugs.h>

#include <array>

#include "arch/cpu.h"
#include "lib/atomic.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "mm/frames.h"

namespace faultline {
namespace {

constexpr uint32_t kClasses = kSlabClassBytes.size();
constexpr size_t kLargestAllocation = 128 * 1024;
constexpr uint32_t kMagazineSlots = 16;

// Classes above 512 bytes use slabs of 16 KiB, which waste less behind the header.
constexpr uint32_t order_of_class(uint32_t index) { return kSlabClassBytes.data()[index] > 512 ? 2 : 0; }

struct FreeSlot {
  FreeSlot* next;
};

struct alignas(16) Slab : ListNode<> {
  FreeSlot* free = nullptr;
  uint32_t used = 0;
};
constexpr size_t kHeaderBytes = align_up<size_t>(sizeof(Slab), 32);

struct SizeClass {
  SpinLock<LockRank::kSlab> lock;
  List<Slab> partial GUARDED_BY(lock);  // slabs with at least one free slot
  uint32_t used GUARDED_BY(lock) = 0;   // slots in nobody's list: with a user, or in a magazine
  uint32_t slabs GUARDED_BY(lock) = 0;
};

// A few free slots of one class for one CPU. The lock is uncontended but for slab_drain().
struct Magazine {
  TicketLock lock;
  uint32_t count = 0;
  void* slots[kMagazineSlots];
};

constinit SizeClass* classes = nullptr;
alignas(SizeClass) constinit uint8_t classes_memory[sizeof(SizeClass) * kClasses] = {};
constinit Magazine magazines[kMaxCpus][kClasses] = {};
constinit Atomic<uint32_t> large_allocations = 0;  // the ones that are frames of their own

// The smallest class that holds `bytes`, by table: one step of 16 bytes up to 2 KiB.
struct ClassTable {
  uint8_t index[kLargestSlabClass / 16 + 1] = {};
  constexpr ClassTable() {
    for (uint32_t step = 0; step <= kLargestSlabClass / 16; step++) {
      uint8_t c = 0;
      while (kSlabClassBytes.data()[c] < step * 16) c++;
      index[step] = c;
    }
  }
};
constexpr ClassTable kClassTable;

uint32_t class_of(size_t bytes) { return kClassTable.index[(bytes + 15) / 16]; }

uint32_t order_of_bytes(size_t bytes) {
  uint32_t order = 0;
  while ((kPageSize << order) < bytes) order++;
  return order;
}

Slab* slab_of(void* slot, uint32_t index) {
  FrameNumber frame = direct_map_frame(slot);
  return static_cast<Slab*>(direct_map(FrameNumber(frame.value() & ~((1u << order_of_class(index)) - 1))));
}

// A new slab, all slots free, on no list. Called with no lock: the frame allocator's rank is below ours.
Slab* create_slab(uint32_t index) {
  uint32_t order = order_of_class(index);
  auto frames = frames_allocate(order, FrameUse::kSlab, Zeroing::kNotNeeded);
  if (!frames.ok()) return nullptr;
  uint8_t* base = direct_map_bytes(frames.value());
  Slab* slab = new (base) Slab;
  size_t bytes = kSlabClassBytes.data()[index], end = kPageSize << order;
  for (size_t at = kHeaderBytes; at + bytes <= end; at += bytes) {
    FreeSlot* slot = reinterpret_cast<FreeSlot*>(base + at);
    slot->next = slab->free;
    slab->free = slot;
  }
  return slab;
}

void destroy_slab(Slab* slab, uint32_t index) {
  slab->~Slab();
  frames_free(direct_map_frame(slab), order_of_class(index));
}

void* take_slot_locked(SizeClass& size_class, Slab& slab) REQUIRES(size_class.lock) {
  FreeSlot* slot = slab.free;
  slab.free = slot->next;
  slab.used++;
  size_class.used++;
  if (!slab.free) size_class.partial.remove(slab);
  return slot;
}

void* allocate_from_slabs(uint32_t index) {
  SizeClass& size_class = classes[index];
  for (;;) {
    {
      LockGuard guard(size_class.lock);
      if (Slab* slab = size_class.partial.front()) return take_slot_locked(size_class, *slab);
    }
    Slab* slab = create_slab(index);
    if (!slab) return nullptr;
    LockGuard guard(size_class.lock);
    size_class.partial.push_back(*slab);
    size_class.slabs++;
    return take_slot_locked(size_class, *slab);
  }
}

void free_to_slab(void* pointer, uint32_t index) {
  SizeClass& size_class = classes[index];
  Slab* slab = slab_of(pointer, index);
  bool is_empty;
  {
    LockGuard guard(size_class.lock);
    FreeSlot* slot = static_cast<FreeSlot*>(pointer);
    if (!slab->free) size_class.partial.push_front(*slab);
    slot->next = slab->free;
    slab->free = slot;
    ASSERT(slab->used > 0);
    size_class.used--;
    is_empty = --slab->used == 0;
    if (is_empty) {
      size_class.partial.remove(*slab);
      size_class.slabs--;
    }
  }
  if (is_empty) destroy_slab(slab, index);
}

// Takes up to `limit` slots out of a magazine into `slots`; returns how many.
uint32_t unload(Magazine& magazine, uint32_t limit, void** slots) {
  PreemptionGuard guard;
  magazine.lock.lock_raw();
  uint32_t taken = 0;
  while (taken < limit && magazine.count > 0) slots[taken++] = magazine.slots[--magazine.count];
  magazine.lock.unlock_raw();
  return taken;
}

}  // namespace

void slab_initialize() {
  classes = reinterpret_cast<SizeClass*>(classes_memory);
  for (uint32_t i = 0; i < kClasses; i++) new (&classes[i]) SizeClass;
  for (auto& of_cpu : magazines)
    for (Magazine& magazine : of_cpu) magazine.count = 0;  // tests start the machine many times
}

void* slab_allocate(size_t bytes) {
  if (bytes <= kLargestSlabClass) return slab_allocate_slot(class_of(bytes));
  if (bytes > kLargestAllocation || machine::allocation_fails()) return nullptr;
  auto frames = frames_allocate(order_of_bytes(bytes), FrameUse::kSlab, Zeroing::kNotNeeded);
  if (!frames.ok()) return nullptr;
  large_allocations.fetch_add(1, memory_order_relaxed);
  return direct_map(frames.value());
}

void* slab_allocate_slot(uint32_t index) {
  if (machine::allocation_fails()) return nullptr;
  {
    PreemptionGuard guard;
    Magazine& magazine = magazines[this_cpu()][index];
    magazine.lock.lock_raw();
    void* slot = magazine.count > 0 ? magazine.slots[--magazine.count] : nullptr;
    magazine.lock.unlock_raw();
    if (slot) return slot;
  }
  return allocate_from_slabs(index);
}

void slab_free(void* pointer, size_t bytes) {
  if (bytes <= kLargestSlabClass) return slab_free_slot(pointer, class_of(bytes));
  large_allocations.fetch_sub(1, memory_order_relaxed);
  frames_free(direct_map_frame(pointer), order_of_bytes(bytes));
}

void slab_free_slot(void* slot, uint32_t index) {
  Magazine* magazine;
  {
    PreemptionGuard guard;
    magazine = &magazines[this_cpu()][index];
    magazine->lock.lock_raw();
    bool stored = magazine->count < kMagazineSlots;
    if (stored) magazine->slots[magazine->count++] = slot;
    magazine->lock.unlock_raw();
    if (stored) return;
  }
  // Full: half of it goes back, so that a run of frees pays this once in eight.
  void* slots[kMagazineSlots / 2];
  uint32_t count = unload(*magazine, kMagazineSlots / 2, slots);
  for (uint32_t i = 0; i < count; i++) free_to_slab(slots[i], index);
  free_to_slab(slot, index);
}

void slab_drain() {
  for (auto& of_cpu : magazines)
    for (uint32_t index = 0; index < kClasses; index++) {
      void* slots[kMagazineSlots];
      uint32_t count = unload(of_cpu[index], kMagazineSlots, slots);
      for (uint32_t i = 0; i < count; i++) free_to_slab(slots[i], index);
    }
}

uint32_t slab_allocations() {
  uint32_t count = large_allocations.load(memory_order_relaxed);
  for (uint32_t index = 0; index < kClasses; index++) {
    LockGuard guard(classes[index].lock);
    count += classes[index].used;
  }
  for (auto& of_cpu : magazines)
    for (Magazine& magazine : of_cpu) count -= magazine.count;
  return count;
}

bool slab_statistics(uint32_t index, SlabStatistics& statistics) {
  if (index >= kClasses) return false;
  uint32_t bytes = kSlabClassBytes.data()[index], pages = 1u << order_of_class(index);
  uint32_t idle = 0;
  for (const auto& of_cpu : magazines) idle += of_cpu[index].count;
  SizeClass& size_class = classes[index];
  LockGuard guard(size_class.lock);
  auto slots = static_cast<uint32_t>(((pages << kPageShift) - kHeaderBytes) / bytes);
  statistics = {bytes, slots, pages, size_class.slabs, size_class.used - idle};
  return true;
}

}  // namespace faultline
