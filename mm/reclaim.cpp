// The replacement queue and the reclaimer: see reclaim.h.
#include "mm/reclaim.h"

#include <machine/planted_bugs.h>

#include <algorithm>
#include <bit>

#include "arch/clock.h"
#include "lib/late.h"
#include "lib/mutex.h"
#include "lib/scheduling.h"
#include "mm/frames.h"
#include "mm/object.h"
#include "mm/page_table.h"
#include "mm/slab.h"
#include "mm/space.h"
#include "mm/swap_cache.h"

namespace faultline {
namespace {

// Whether some mapping has used the page since this was last asked; clears the bits. TLBs keep the entries, which only makes the next
// answer "no" sooner, but who relies on A being set for all that TLBs hold must see the mark.
bool was_accessed(Frame& frame) {
  FrameLock lock(frame);
  bool accessed = false;
  reverse_map_for_each(frame, [&](Locator slot) {
    PteSlot& entry = table_slots(slot.table())[slot.index()];
    for (Pte pte = pte_load(entry); pte.is_present() && pte.is_accessed();)
      if (pte_compare_exchange(entry, pte, pte.without(Pte::kAccessed).with(kPteWasAccessed))) {
        accessed = true;
        break;
      }
    return true;
  });
  return accessed;
}

// Whether the page of a file has to be written before it can go.
bool is_dirty(Frame& frame) {
  if (!frame.is(kFrameTagged)) return false;
  FrameLock lock(frame);
  return frame.is(kFrameDirty) || !reverse_map_for_each(frame, [](Locator at) {
           Pte pte = pte_load(table_slots(at.table())[at.index()]);
           return !(pte_is_shared(pte) && pte.is_dirty());
         });
}

// The frame table, as the policy sees it.
struct QueuedFrames {
  static uint32_t& next(uint32_t page) { return frame_table[page].next; }
  static uint32_t& previous(uint32_t page) { return frame_table[page].previous; }
  static PageQueue queue(uint32_t page) { return frame_table[page].queue(); }
  static void set_queue(uint32_t page, PageQueue queue) { frame_table[page].set_queue(queue); }
  static bool take_accessed(uint32_t page) {
    Frame& frame = frame_table[page];
    bool referenced = frame.is(kFrameReferenced);
    if (referenced) frame.clear(kFrameReferenced);
    return was_accessed(frame) || referenced;
  }
};

// Frames of objects, and anonymous ones while there is swap.
struct Queue {
  SpinLock<LockRank::kReclaimQueue> lock;
  Replacement<QueuedFrames> pages GUARDED_BY(lock);
  bool has_victims GUARDED_BY(lock) = false;  // chosen, and not taken yet: nobody may clear an A bit without a flush
};
constinit Queue queue;

// One search for victims at a time. Whoever finds it taken sleeps instead of spinning behind it, and looks first whether what that one found will do.
constinit Late<Mutex<LockRank::kReclaim>> search_lock;

// By what a page that has gone is recognised when it comes back.
uint32_t identity_of(const Frame& frame) {
  constexpr uint32_t kGolden = 0x9e3779b1;  // 2^32 over the golden ratio: Knuth's multiplicative hash
  if (frame.use == FrameUse::kAnonymous) return frame_slot(frame).raw() * kGolden;
  return (static_cast<uint32_t>(reinterpret_cast<uintptr_t>(frame.object)) / 16 * kGolden + frame.index) * kGolden;
}

// Writing files back may take the last frames: it gives back more. One thread does it at a time, the others wait for what it brings.
constinit Atomic<Thread*> writer{nullptr};
void write_back_for_memory() {
  constexpr uint32_t kMost = 100;
  constexpr uint64_t kPause = 2'000'000;  // nanoseconds
  if (is_writing_for_memory()) return;
  Thread* nobody = nullptr;
  if (writer.compare_exchange_strong(nobody, current_thread(), memory_order_acquire)) {
    ignore_result(objects_write_back_all(WriteBack::kWait));
    return writer.store(nullptr, memory_order_release);
  }
  for (uint32_t i = 0; i < kMost && writer.load(memory_order_relaxed); i++)
    if (auto slept = block(SleepKind::kKillable, Deadline{clock_monotonic() + kPause}); !slept.ok() && slept.error() == Errno::kINTR)
      return;
}

constinit CacheShrinker shrinkers[4] = {};  // constant after the boot

uint32_t shrink_caches(uint32_t wanted) {
  uint32_t given = 0;
  for (CacheShrinker shrink : shrinkers)
    if (shrink) given += shrink(wanted);
  return given;
}

}  // namespace

// What becomes of a page whose turn it is. The page stays queued, seen from outside, until the lock of its object (its frame) is held: who
// removes it meanwhile must find the mark and wait for the queue.
class Reclaimer {
 public:
  enum class Fate : uint8_t { kKept, kFreed, kWriting };
  class Victims;
  // What of: clean pages only; or also those that `out` can take, which is not full.
  static Fate take_locked(Frame& frame, SwapOut* out) REQUIRES(queue.lock) {
    if (is_in_hands(frame)) return Fate::kKept;
    return frame.use == FrameUse::kAnonymous ? take_anonymous(frame, out) : take_of_object(frame, out);
  }

 private:
  // Under I/O, or used by the kernel. To be relied on only under the lock of the frame's object (the frame's own).
  static bool is_in_hands(const Frame& frame) {
    return (frame.flags.load(memory_order_relaxed) & (kFrameBusy | kFrameWriteBack)) || frame.pins.load(memory_order_relaxed) != 0;
  }

  static Fate take_anonymous(Frame& frame, SwapOut* out) REQUIRES(queue.lock) {
    if (!out && !frame_has_slot(frame)) return Fate::kKept;
    {
      FrameLock lock(frame);
      if (frame.use != FrameUse::kAnonymous) return Fate::kKept;                            // an object fetched it meanwhile
      bool is_going = frame.map.load(memory_order_relaxed) == 0 && !frame_has_slot(frame);  // somebody has it, and waits for the queue
      if (is_going || is_in_hands(frame)) return Fate::kKept;
      // No new entries may name an area on its way out.
      bool is_leaving = frame_has_slot(frame) && swap_area_is_leaving(frame_slot(frame).area());
      if (is_leaving && (!out || !swap_cache_leave(frame))) return Fate::kKept;
      if (!frame_has_slot(frame) && !swap_cache_add(frame)) return Fate::kKept;
    }
    if (frame_unmap(frame, TableWait::kTry)) return leave_to_slot(frame, out);
    FrameLock lock(frame);
    // An entry that has it still may be writable (M3).
    if (frame_has_slot(frame) && frame.is(kFrameDirty)) swap_cache_leave(frame);
    return Fate::kKept;
  }

  // No entry names the frame any more, and those that name its slot find it there.
  static Fate leave_to_slot(Frame& frame, SwapOut* out) REQUIRES(queue.lock) {
    {
      FrameLock lock(frame);
      if (frame.map.load(memory_order_relaxed) != 0 || !frame_has_slot(frame) || is_in_hands(frame)) return Fate::kKept;  // fetched back
      if (frame.is(kFrameDirty) && !machine::planted(machine::Bug::kDirtyDroppedAtEviction)) {
        if (!out) return Fate::kKept;
        queue.pages.evict(frame_number(frame).value(), identity_of(frame));
        out->add(frame);
        return Fate::kWriting;
      }
      queue.pages.evict(frame_number(frame).value(), identity_of(frame));
      swap_cache_forget(frame);
    }
    frame_free(frame_number(frame));
    return Fate::kFreed;
  }

  static Fate take_of_object(Frame& frame, SwapOut* out) REQUIRES(queue.lock) NO_THREAD_SAFETY_ANALYSIS {
    // While it is queued its object lives: an object dequeues all its frames before it dies.
    Object& object = *frame.object;
    if (!object.lock_.try_lock()) return Fate::kKept;
    Fate fate = Fate::kKept;
    if (!is_in_hands(frame)) {  // it may have been pinned, or sent out, since it was chosen
      if (object.source_)
        fate = drop_clean(object, frame);
      else if (out && !object.stays_in_memory_)
        fate = swap_shared(object, frame, out);
    }
    object.lock_.unlock();
    return fate;
  }

  static Fate drop_clean(Object& object, Frame& frame) REQUIRES(queue.lock) NO_THREAD_SAFETY_ANALYSIS {
    // A mapping may have made it dirty: then it stays, for the write-back to find.
    if (frame.is(kFrameDirty) || !frame_unmap(frame, TableWait::kTry) || frame.is(kFrameDirty)) return Fate::kKept;
    queue.pages.evict(frame_number(frame).value(), identity_of(frame));
    object.remove_locked(frame);
    return Fate::kFreed;
  }

  static Fate swap_shared(Object& object, Frame& frame, SwapOut* out) REQUIRES(queue.lock) NO_THREAD_SAFETY_ANALYSIS {
    if (!swap_is_on() || !frame_unmap(frame, TableWait::kTry) || !object.give_to_swap_locked(frame)) return Fate::kKept;
    return leave_to_slot(frame, out);
  }
};

bool is_writing_for_memory() {
  Thread* thread = writer.load(memory_order_relaxed);
  return thread && thread == current_thread();
}

void reclaim_register(CacheShrinker shrink) {
  for (CacheShrinker& place : shrinkers) {
    if (place == shrink) return;  // only tests boot twice
    if (place) continue;
    place = shrink;
    return;
  }
  PANIC("too many caches that shrink");
}

void reclaim_initialize(Policy policy) {
  const uint32_t pages = pages_for(uint64_t{frames_total()} * sizeof(uint32_t));
  const uint32_t order = static_cast<uint32_t>(std::bit_width(pages - 1));
  auto memory = frames_allocate(order, FrameUse::kKernel, Zeroing::kZeroed);
  if (!memory.ok()) PANIC("no memory for the reclaimer");
  search_lock.construct();
  LockGuard guard(queue.lock);
  queue.pages.initialize(policy, std::span(static_cast<uint32_t*>(direct_map(memory.value())), frames_total()));
}

void reclaim_enqueue(Frame& frame, Demand demand) {
  LockGuard guard(queue.lock);
  if (frame.is_queued()) return;
  bool may_return = demand == Demand::kWanted && (frame.use == FrameUse::kObject || frame_has_slot(frame));
  Arrival arrival = may_return                     ? queue.pages.arrival(identity_of(frame), !queue.has_victims)
                    : demand == Demand::kReadAhead ? Arrival::kReadAhead
                                                   : Arrival::kNew;
  queue.pages.insert(frame_number(frame).value(), arrival);
}

void reclaim_dequeue_queued(Frame& frame) {
  LockGuard guard(queue.lock);
  if (frame.is_queued()) queue.pages.remove(frame_number(frame).value());
}

void reclaim_barrier() { LockGuard guard(queue.lock); }

// Pages whose turn has come, and what becomes of them. To take them from programs without telling every processor about each: an entry whose A is
// clear after one flush for all of them is in no TLB, and a processor that uses it from then on sets A first. The queue is free during the flush,
// which waits for all processors, so that they need not spin for it; a victim that has left the queue meanwhile is none any more.
class Reclaimer::Victims {
 public:
  void choose(uint32_t wanted) REQUIRES(queue.lock);
  void flush() EXCLUDES(queue.lock);
  // Returns how many came free; others may be in `out`.
  uint32_t take(SwapOut& out) REQUIRES(queue.lock);
  uint32_t count() const { return count_; }
  // Somebody holds what would have had to be locked: another time there is more to be had.
  bool was_contended() const { return was_contended_; }
  uint32_t looked() const { return looked_; }
  uint32_t dirty() const { return dirty_; }

 private:
  static bool has_nowhere_to_go(const Frame& frame);
  bool has(uint32_t page) const { return std::find(pages_, pages_ + count_, page) != pages_ + count_; }
  uint32_t count_ = 0, pages_[SwapOut::kMost];
  PageQueue from_[SwapOut::kMost];   // where each was chosen, which its ghost will tell of
  uint32_t looked_ = 0, dirty_ = 0;  // pages looked at, and those of them that a file must be given first
  bool is_mapped_ = false, was_contended_ = false;
};

// They are moved on in their queue first: most of those that cannot go now would have to be.
void Reclaimer::Victims::choose(uint32_t wanted) {
  while (count_ < wanted && looked_ < 2 * SwapOut::kMost) {
    looked_++;
    uint32_t page = queue.pages.choose();
    if (page == kNoPage) continue;
    if (has(page)) break;  // once round
    const PageQueue from = frame_table[page].queue();
    queue.pages.keep(page);
    Frame& frame = frame_table[page];
    if (is_dirty(frame)) {
      dirty_++;
      continue;
    }
    if (has_nowhere_to_go(frame)) continue;
    if (frame.use == FrameUse::kObject && frame.object->lock_.is_held()) {
      was_contended_ = true;
      continue;
    }
    if (queue.pages.policy() == Policy::kFifo) was_accessed(frame);  // no matter what it says
    from_[count_] = from;
    pages_[count_++] = page;
  }
  // Asked last: one that nobody had when it was chosen may have been mapped since, and have lost its A as the search came round to it again.
  for (uint32_t i = 0; i < count_; i++) is_mapped_ |= frame_table[pages_[i]].map.load(memory_order_relaxed) != 0;
}

// A page without a source when no slot is left for it.
bool Reclaimer::Victims::has_nowhere_to_go(const Frame& frame) NO_THREAD_SAFETY_ANALYSIS {
  if (frame.use == FrameUse::kObject && frame.object->source_) return false;
  if (frame.use == FrameUse::kObject && frame.object->stays_in_memory_) return true;
  return !frame_has_slot(frame) && swap_is_full();
}

void Reclaimer::Victims::flush() {
  if (!is_mapped_ || machine::planted(machine::Bug::kEvictionWithoutFlush)) return;
  FlushBatch everything;
  everything.add(VirtAddr(0), kFlushAllThreshold + 1);
}

uint32_t Reclaimer::Victims::take(SwapOut& out) {
  uint32_t freed = 0;
  for (uint32_t i = 0; i < count_ && !out.is_full(); i++) {
    Frame& frame = frame_table[pages_[i]];
    if (!frame.is_queued()) continue;
    queue.pages.put_back(pages_[i], from_[i]);
    const Fate fate = take_locked(frame, &out);
    if (fate == Fate::kKept && frame.is_queued()) queue.pages.keep(pages_[i]);
    freed += fate == Fate::kFreed;
  }
  return freed;
}

namespace {

// What a search for pages met.
struct Search {
  uint32_t looked = 0, dirty = 0;
  bool was_contended = false;
};

// A search may go twice through all of memory: whoever was chosen to end meanwhile must not go on with it, for the others wait for that end.
bool need_not_search() { return running_process_gives_back() && frames_are_left(); }

// False: another thread's search has brought enough, and the lock is not held.
bool lock_search() NO_THREAD_SAFETY_ANALYSIS {
  if (search_lock->try_lock()) return true;
  search_lock->lock();
  if (frames_short_of_low() != 0 && !need_not_search()) return true;
  search_lock->unlock();
  return false;
}

// About twice round at most: the first clears what says that pages are used.
uint32_t take_pages(uint32_t wanted, Search& search) NO_THREAD_SAFETY_ANALYSIS {
  SwapOut out;
  if (!lock_search()) return 1;
  uint32_t freed = 0, patience = 1;
  while (freed + out.count() < wanted && search.looked < patience && !out.is_full() && !need_not_search()) {
    Reclaimer::Victims victims;
    {
      LockGuard guard(queue.lock);
      if (search.looked == 0) patience = queue.pages.count() * 2 + SwapOut::kMost;
      victims.choose(std::min(wanted - freed - out.count(), SwapOut::kMost));
      queue.has_victims = true;
    }
    victims.flush();
    {
      LockGuard guard(queue.lock);
      freed += victims.take(out);
      queue.has_victims = false;
      if (queue.pages.count() == 0) patience = 0;
    }
    search.was_contended |= victims.was_contended();
    search.looked += victims.looked();
    search.dirty += victims.dirty();
  }
  search_lock->unlock();
  return freed + out.write();
}

}  // namespace

uint32_t reclaim_pages(uint32_t wanted) {
  Search search;
  return take_pages(wanted, search);
}

bool reclaim_ahead(uint32_t wanted) {
  Search search;
  const uint32_t freed = take_pages(wanted, search);
  if (search.dirty > search.looked / 2) write_back_for_memory();
  return freed != 0;
}

uint32_t reclaim_clean(uint32_t wanted) {
  uint32_t freed = 0;
  for (uint32_t number = 0; number < frame_table_size() && freed < wanted; number++) {
    Frame& frame = frame_table[number];
    if (!frame.is_queued()) continue;
    LockGuard search_guard(*search_lock);
    LockGuard guard(queue.lock);
    if (!frame.is_queued()) continue;
    if (frame.map.load(memory_order_relaxed) != 0) {
      was_accessed(frame);
      FlushBatch everything;
      everything.add(VirtAddr(0), kFlushAllThreshold + 1);
    }
    freed += Reclaimer::take_locked(frame, nullptr) == Reclaimer::Fate::kFreed;
  }
  return freed;
}

bool reclaim_with_write_back() {
  constexpr uint32_t kBatch = 32, kThings = 256;
  if (need_not_search()) return true;
  if (reclaim_pages(kBatch) > 0) return true;
  write_back_for_memory();
  Search search;
  if (take_pages(kBatch, search) > 0) return true;
  if (search.was_contended) {
    yield();  // to those who hold the locks: memory is not out as long as they get on
    return true;
  }
  const uint32_t free_before = frame_statistics().free;
  while (shrink_caches(kThings) != 0) {  // a frame is free when the last thing in its slab is
    slab_drain();
    if (reclaim_pages(kBatch) > 0 || frame_statistics().free > free_before) return true;
  }
  return false;
}

bool reclaim_or_end_somebody() {
  constexpr uint32_t kPatience = 3;
  for (uint32_t i = 0; i < kPatience; i++)
    if (reclaim_with_write_back()) return true;
  return memory_ran_out();
}

bool frame_unmap(Frame& frame, TableWait wait) {
  for (;;) {
    bool is_locked_out = false;
    {
      FrameLock lock(frame);
      if (frame.map.load(memory_order_relaxed) == 0) return true;
      // The table cannot go away: it has this entry, and its removal needs the frame's lock.
      Locator slot(0);
      reverse_map_for_each(frame, [&](Locator first) {
        slot = first;
        return false;
      });
      Frame& table = frame_record(slot.table());
      TryTableLock table_lock(table);
      if (table_lock) {
        PteSlot& entry = table_slots(slot.table())[slot.index()];
        if (frame.use == FrameUse::kAnonymous && !frame_has_slot(frame)) return false;  // made writable this moment
        if (wait == TableWait::kTry) {
          if (!slot_hide_unused(entry)) return false;
        } else {
          FlushBatch batch;
          slot_hide(table, entry, slot.index(), batch);
        }
        frame_has_slot(frame) ? slot_swap_out(table, entry, slot.index(), frame) : slot_release(table, entry, slot.index(), frame);
        entries_lost.fetch_add(1, memory_order_relaxed);
      } else {
        is_locked_out = true;
      }
    }
    if (!is_locked_out) continue;
    if (wait == TableWait::kTry) return false;
    machine::relax();
  }
}

}  // namespace faultline
