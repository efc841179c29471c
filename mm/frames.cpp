// The allocator of physical pages (xv6: kalloc.c): a buddy allocator whose free lists run through the frame records, and before it
// one magazine per CPU, so that the common allocation touches nothing shared. See frames.h.
#include "mm/frames.h"

#include <machine/planted_bugs.h>

#include <algorithm>

#include "lib/string.h"
#include "mm/frame.h"
#include "mm/reclaim.h"
#include "mm/slab.h"
#include "mm/swap_cache.h"

namespace faultline {

Frame* frame_table = nullptr;

namespace {

constexpr uint32_t kOrders = 11;                                 // blocks of 4 KiB to 4 MiB
constexpr uint32_t kBatchOrder = 4, kBatch = 1u << kBatchOrder;  // frames that move between a magazine and the shared lists
constexpr uint32_t kMagazineFrames = 2 * kBatch, kZeroedFrames = 16, kUses = 10;

// One CPU's free frames. The lock is uncontended but when another CPU has run out.
struct alignas(256) Magazine {
  TicketLock lock;
  uint32_t count;
  uint32_t zeroed_count;
  uint32_t frames[kMagazineFrames];
  uint32_t zeroed[kZeroedFrames];
  uint32_t allocated;      // since boot, modulo 2^32
  uint32_t by_use[kUses];  // by FrameUse: allocated minus freed here, modulo 2^32: the sum over CPUs is exact
};

static_assert(sizeof(Magazine) == 256 && static_cast<uint32_t>(FrameUse::kObject) < kUses);  // indexed by a shift

struct Buddy {
  SpinLock<LockRank::kFrameAllocator> lock;
  uint32_t heads[kOrders] GUARDED_BY(lock);
  // Single free frames in batches of kBatch, as magazines spill and refill them: a stack of batches (through `previous` of each
  // batch's first frame), each a chain (through `next`). They are merged into blocks only when a larger block is wanted.
  uint32_t batches GUARDED_BY(lock);
  Atomic<uint32_t> free{0};  // pages in all of it; written under the lock
};

uint32_t table_size = 0;    // records
uint32_t total_frames = 0;  // usable ones
constinit Magazine magazines[kMaxCpus] = {};
constinit Buddy buddy = {};

// Free pages on the shared lists: below `low` the reclaimer is called, and works until there are `high`; the last `least` are for the kernel's own
// needs, so that a fork, a page table or a signal does not fail for want of what programs' pages have taken.
struct Watermarks {
  uint32_t least, low, high;
};
Watermarks watermarks = {};

bool is_for_programs(FrameUse use) { return use == FrameUse::kAnonymous || use == FrameUse::kObject; }

void count_shared(int32_t pages) REQUIRES(buddy.lock) {
  buddy.free.store(buddy.free.load(memory_order_relaxed) + static_cast<uint32_t>(pages), memory_order_relaxed);
}

void list_push(uint32_t order, uint32_t first) REQUIRES(buddy.lock) {
  Frame& frame = frame_table[first];
  frame.list.store(static_cast<uint8_t>(order), memory_order_relaxed);
  frame.previous = kNoFrame;
  frame.next = buddy.heads[order];
  if (frame.next != kNoFrame) frame_table[frame.next].previous = first;
  buddy.heads[order] = first;
}

void list_remove(uint32_t first) REQUIRES(buddy.lock) {
  Frame& frame = frame_table[first];
  if (frame.next != kNoFrame) frame_table[frame.next].previous = frame.previous;
  if (frame.previous != kNoFrame)
    frame_table[frame.previous].next = frame.next;
  else
    buddy.heads[frame.list.load(memory_order_relaxed)] = frame.next;
  frame.set_queue(PageQueue::kNone);
}

// Merges the block with its buddy as long as that is free as a whole.
void buddy_free_locked(uint32_t first, uint32_t order) REQUIRES(buddy.lock) {
  while (order + 1 < kOrders) {
    uint32_t other = first ^ (1u << order);
    if (other + (1u << order) > table_size || frame_table[other].list.load(memory_order_relaxed) != order) break;
    list_remove(other);
    first &= other;
    order++;
  }
  list_push(order, first);
}
void buddy_give_locked(uint32_t first, uint32_t order) REQUIRES(buddy.lock) {
  count_shared(1 << order);
  buddy_free_locked(first, order);
}

uint32_t buddy_allocate_locked(uint32_t order) REQUIRES(buddy.lock) {
  uint32_t found = order;
  while (found < kOrders && buddy.heads[found] == kNoFrame) found++;
  if (found == kOrders) return kNoFrame;
  count_shared(-(1 << order));
  uint32_t first = buddy.heads[found];
  list_remove(first);
  while (found > order) {
    found--;
    list_push(found, first + (1u << found));
  }
  return first;
}

// Merges all single frames into blocks.
void merge_batches_locked() REQUIRES(buddy.lock) {
  while (buddy.batches != kNoFrame) {
    uint32_t frame = buddy.batches;
    buddy.batches = frame_table[frame].previous;
    while (frame != kNoFrame) {
      uint32_t next = frame_table[frame].next;
      buddy_free_locked(frame, 0);
      frame = next;
    }
  }
}

// Fills the empty magazine by half: a batch, or a block of that size, or whatever single frames there are.
[[gnu::noinline]] void refill_locked(Magazine& magazine, FrameUse use) {
  LockGuard guard(buddy.lock);
  if (buddy.free.load(memory_order_relaxed) <= watermarks.least) [[unlikely]] {
    if (is_for_programs(use) && !may_use_last_frames() && !is_writing_for_memory()) return;
    // Of the last frames one at a time: what lay in the magazine would be anybody's.
    merge_batches_locked();
    if (uint32_t frame = buddy_allocate_locked(0); frame != kNoFrame) magazine.frames[magazine.count++] = frame;
    return;
  }
  if (uint32_t frame = buddy.batches; frame != kNoFrame) {
    count_shared(-static_cast<int32_t>(kBatch));
    buddy.batches = frame_table[frame].previous;
    for (; frame != kNoFrame; frame = frame_table[frame].next) magazine.frames[magazine.count++] = frame;
    return;
  }
  uint32_t block = buddy_allocate_locked(kBatchOrder);
  if (block != kNoFrame) {
    // Downwards, so that low frames come out first.
    for (uint32_t i = kBatch; i-- > 0;) magazine.frames[magazine.count++] = block + i;
    return;
  }
  while (magazine.count < kBatch && (block = buddy_allocate_locked(0)) != kNoFrame) magazine.frames[magazine.count++] = block;
}

// kBatch frames of no magazine any more, chained, join the shared lists.
void give_chain(uint32_t first) {
  LockGuard guard(buddy.lock);
  count_shared(kBatch);
  frame_table[first].previous = buddy.batches;
  buddy.batches = first;
}
void give_batch(const uint32_t* frames) {
  uint32_t chain = kNoFrame;
  for (uint32_t i = 0; i < kBatch; i++) {
    frame_table[frames[i]].next = chain;
    chain = frames[i];
  }
  give_chain(chain);
}

void put_locked(Magazine& magazine, uint32_t frame) {
  if (magazine.count == kMagazineFrames) give_batch(magazine.frames + (magazine.count -= kBatch));
  magazine.frames[magazine.count++] = frame;
}

void initialize_record(Frame& frame, FrameUse use) {
  frame.use = use;
  frame.flags.store(0, memory_order_relaxed);
  frame.map.store(0, memory_order_relaxed);
  frame.pins.store(0, memory_order_relaxed);
  frame.reverse = 0;
  frame.object = nullptr;
  frame.index = 0;
}

// Pops a frame; kNoFrame when the magazine and the buddy allocator are empty.
[[gnu::noinline]] uint32_t take_frame(Magazine& magazine, FrameUse use, Zeroing zeroing) {
  magazine.lock.lock_raw();
  bool is_low = false;
  if (magazine.count == 0) [[unlikely]] {
    refill_locked(magazine, use);
    is_low = buddy.free.load(memory_order_relaxed) < watermarks.low;
  }
  uint32_t number = kNoFrame;
  bool is_ready = zeroing == Zeroing::kNotNeeded;
  if (magazine.zeroed_count > 0 && (!is_ready || magazine.count == 0)) [[unlikely]] {
    number = magazine.zeroed[--magazine.zeroed_count];
    is_ready = true;
  } else if (magazine.count > 0) [[likely]] {
    number = magazine.frames[--magazine.count];
  }
  if (number != kNoFrame) [[likely]] {
    magazine.by_use[static_cast<uint32_t>(use)]++;
    magazine.allocated++;
  }
  magazine.lock.unlock_raw();
  if (is_low) [[unlikely]]
    reclaim_call();
  if (number == kNoFrame) [[unlikely]]
    return number;
  initialize_record(frame_table[number], use);
  if (!is_ready) page_zero(FrameNumber(number));
  return number;
}

// Whether this thread may run the reclaimer: it holds no spin lock.
bool may_reclaim() { return machine::preemption_depth() == 0 && machine::interrupts_enabled(); }

// More free frames: other pages go, for which the swap device may be waited for; then idle magazines and empty slabs. Who may not wait, and
// wants a page for a program, will come again when he may.
bool make_room(uint32_t attempt, uint32_t wanted, FrameUse use) {
  constexpr uint32_t kPatience = 3;
  if (may_reclaim() && attempt < kPatience) {
    bool freed = reclaim_pages(wanted > SwapOut::kMost ? wanted : SwapOut::kMost) != 0;
    if (wanted > 1) frames_gather();
    if (freed) return true;
  } else if (attempt >= kPatience || is_for_programs(use)) {
    return false;
  }
  slab_drain();
  frames_gather();
  return attempt < kPatience;
}

void check_free(const Frame& frame) {
  ASSERT(frame.use != FrameUse::kFree && frame.use != FrameUse::kReserved);
  ASSERT(frame.map.load(memory_order_relaxed) == 0 && frame.pins.load(memory_order_relaxed) == 0);
  DEBUG_ASSERT(frame.flags.load(memory_order_relaxed) == 0 || frame.use == FrameUse::kObject);
}

void count_freed(Magazine& magazine, Frame& frame) {
  magazine.by_use[static_cast<uint32_t>(FrameUse{frame.use})]--;
  frame.use = FrameUse::kFree;
  machine::observe_free(frame_number(frame).value());
}

// Debug builds make use after free visible.
void poison([[maybe_unused]] FrameNumber frame) {
#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG
  memset(direct_map(frame), 0x5a, kPageSize);
#endif
}

}  // namespace

void frames_gather() {
  for (Magazine& magazine : magazines) {
    PreemptionGuard guard;
    magazine.lock.lock_raw();
    LockGuard buddy_guard(buddy.lock);
    merge_batches_locked();
    while (magazine.count > 0) buddy_give_locked(magazine.frames[--magazine.count], 0);
    while (magazine.zeroed_count > 0) buddy_give_locked(magazine.zeroed[--magazine.zeroed_count], 0);
    magazine.lock.unlock_raw();
  }
}

uint32_t frames_short_of_low() {
  uint32_t free = buddy.free.load(memory_order_relaxed);
  return free < watermarks.low ? watermarks.low - free : 0;
}
uint32_t frames_short_of_high() {
  uint32_t free = buddy.free.load(memory_order_relaxed);
  return free < watermarks.high ? watermarks.high - free : 0;
}
bool frames_are_left() { return buddy.free.load(memory_order_relaxed) != 0; }

uint32_t frame_table_size() { return table_size; }
uint32_t frames_total() { return total_frames; }

void frames_initialize(std::span<const FrameRange> usable) {
  uint32_t end = 0;
  for (const FrameRange& range : usable) end = end > range.first.value() + range.count ? end : range.first.value() + range.count;
  uint32_t table_pages = pages_for(uint64_t{end} * sizeof(Frame));
  FrameNumber table_at;
  for (const FrameRange& range : usable)
    if (range.count >= table_pages && table_at.is_none()) table_at = range.first + (range.count - table_pages);
  if (table_at.is_none()) PANIC("no room for the frame table");
  frame_table = static_cast<Frame*>(direct_map(table_at));
  table_size = end;
  total_frames = 0;
  memset(static_cast<void*>(frame_table), 0, end * sizeof(Frame));
  for (uint32_t i = 0; i < end; i++) {
    frame_table[i].use = FrameUse::kReserved;
    frame_table[i].set_queue(PageQueue::kNone);
  }
  for (Magazine& magazine : magazines) {
    magazine.count = magazine.zeroed_count = magazine.allocated = 0;
    for (uint32_t& count : magazine.by_use) count = 0;
  }
  LockGuard guard(buddy.lock);
  for (uint32_t& head : buddy.heads) head = kNoFrame;
  buddy.batches = kNoFrame;
  buddy.free.store(0, memory_order_relaxed);
  // Downwards, so that low frames come out first.
  for (const FrameRange& range : usable) {
    total_frames += range.count;
    for (uint32_t i = range.count; i-- > 0;) {
      FrameNumber frame = range.first + i;
      bool is_table = frame >= table_at && frame < table_at + table_pages;
      frame_record(frame).use = is_table ? FrameUse::kKernel : FrameUse::kFree;
      if (!is_table) buddy_give_locked(frame.value(), 0);
    }
  }
  magazines[0].by_use[static_cast<uint32_t>(FrameUse::kKernel)] = magazines[0].allocated = table_pages;
  watermarks.least = std::min(total_frames / 64, 32 + total_frames / 512);
  watermarks.low = 2 * watermarks.least;
  watermarks.high = 3 * watermarks.least;
}

Result<FrameNumber> frame_allocate(FrameUse use, Zeroing zeroing) {
  if (machine::allocation_fails()) return Errno::kNOMEM;
  for (uint32_t attempt = 0;; attempt++) {
    uint32_t number;
    {
      PreemptionGuard guard;
      number = take_frame(magazines[this_cpu()], use, zeroing);
    }
    if (number != kNoFrame) [[likely]]
      return FrameNumber(number);
    if (!make_room(attempt, 1, use)) return Errno::kNOMEM;
  }
}

void frame_free(FrameNumber number) {
  Frame& frame = frame_record(number);
  reclaim_dequeue(frame);
  check_free(frame);
  poison(number);
  PreemptionGuard guard;
  Magazine& magazine = magazines[this_cpu()];
  magazine.lock.lock_raw();
  count_freed(magazine, frame);
  put_locked(magazine, number.value());
  magazine.lock.unlock_raw();
}

void frame_change_use(FrameNumber number, FrameUse use) {
  PreemptionGuard guard;
  Magazine& magazine = magazines[this_cpu()];
  magazine.lock.lock_raw();
  magazine.by_use[static_cast<uint32_t>(FrameUse{frame_record(number).use})]--;
  magazine.by_use[static_cast<uint32_t>(use)]++;
  frame_record(number).use = use;
  magazine.lock.unlock_raw();
}

void FreeBatch::flush() {
  for (uint32_t frame = first_; frame != kNoFrame; frame = frame_table[frame].next) {
    DEBUG_ASSERT(frame_table[frame].map.load(memory_order_relaxed) == 0 && frame_table[frame].pins.load(memory_order_relaxed) == 0);
    poison(FrameNumber(frame));
    machine::observe_free(frame);
  }
  PreemptionGuard guard;
  Magazine& magazine = magazines[this_cpu()];
  magazine.lock.lock_raw();
  magazine.by_use[static_cast<uint32_t>(use_)] -= count_;
  static_assert(kFrames == kBatch);
  if (count_ == kBatch) {
    give_chain(first_);
  } else {
    for (uint32_t frame = first_, next; frame != kNoFrame; frame = next) {
      next = frame_table[frame].next;  // which putting may change
      put_locked(magazine, frame);
    }
  }
  magazine.lock.unlock_raw();
  count_ = 0;
  first_ = kNoFrame;
}

void frame_free_zeroed(FrameNumber number) {
  Frame& frame = frame_record(number);
  check_free(frame);
  DEBUG_ASSERT(*direct_map_bytes(number) == 0 && memcmp(direct_map_bytes(number), direct_map_bytes(number) + 1, kPageSize - 1) == 0);
  {
    PreemptionGuard guard;
    Magazine& magazine = magazines[this_cpu()];
    magazine.lock.lock_raw();
    bool stored = magazine.zeroed_count < kZeroedFrames;
    if (stored) {
      count_freed(magazine, frame);
      magazine.zeroed[magazine.zeroed_count++] = number.value();
    }
    magazine.lock.unlock_raw();
    if (stored) return;
  }
  frame_free(number);
}

Result<FrameNumber> frames_allocate(uint32_t order, FrameUse use, Zeroing zeroing) {
  if (order == 0) return frame_allocate(use, zeroing);
  if (order >= kOrders || machine::allocation_fails()) return Errno::kNOMEM;
  uint32_t first = kNoFrame;
  for (uint32_t attempt = 0;; attempt++) {
    {
      LockGuard guard(buddy.lock);
      first = buddy_allocate_locked(order);
      if (first == kNoFrame) {
        merge_batches_locked();
        first = buddy_allocate_locked(order);
      }
    }
    if (first != kNoFrame) break;
    if (!make_room(attempt, 2u << order, use)) return Errno::kNOMEM;
  }
  for (uint32_t i = 0; i < 1u << order; i++) {
    initialize_record(frame_table[first + i], use);
    if (zeroing == Zeroing::kZeroed) page_zero(FrameNumber(first + i));
  }
  PreemptionGuard guard;
  Magazine& magazine = magazines[this_cpu()];
  magazine.lock.lock_raw();
  magazine.by_use[static_cast<uint32_t>(use)] += 1u << order;
  magazine.allocated += 1u << order;
  magazine.lock.unlock_raw();
  return FrameNumber(first);
}

void frames_free(FrameNumber first, uint32_t order) {
  if (order == 0) return frame_free(first);
  PreemptionGuard guard;
  Magazine& magazine = magazines[this_cpu()];
  magazine.lock.lock_raw();
  for (uint32_t i = 0; i < 1u << order; i++) {
    check_free(frame_record(first + i));
    poison(first + i);
    count_freed(magazine, frame_record(first + i));
  }
  magazine.lock.unlock_raw();
  LockGuard buddy_guard(buddy.lock);
  buddy_give_locked(first.value(), order);
}

FrameStatistics frame_statistics() {
  FrameStatistics statistics = {};
  statistics.total = statistics.free = total_frames;
  for (const Magazine& magazine : magazines) {
    statistics.allocated += magazine.allocated;
    for (uint32_t use = 0; use < kUses; use++) statistics.by_use[use] += magazine.by_use[use];
  }
  for (uint32_t use = 1; use < kUses; use++) statistics.free -= statistics.by_use[use];
  statistics.by_use[0] = statistics.free;
  statistics.freed = statistics.allocated - (statistics.total - statistics.free);
  return statistics;
}

}  // namespace faultline
