// The page cache's replacement queue and the reclaimer: see reclaim.h.
#include "mm/reclaim.h"

#include "mm/frames.h"
#include "mm/object.h"
#include "mm/page_table.h"
#include "mm/slab.h"
#include "mm/space.h"

namespace faultline {
namespace {

// Frames of objects with a source, oldest at the head, through Frame::next and previous.
struct Queue {
    SpinLock<LockRank::kReclaimQueue> lock;
    uint32_t head GUARDED_BY(lock) = kNoFrame, tail GUARDED_BY(lock) = kNoFrame;
    uint32_t length GUARDED_BY(lock) = 0;
};
constinit Queue queue;

void push_locked(Frame& frame) REQUIRES(queue.lock) {
    uint32_t number = frame_number(frame).value();
    frame.next = kNoFrame;
    frame.previous = queue.tail;
    (queue.tail == kNoFrame ? queue.head : frame_table[queue.tail].next) = number;
    queue.tail = number;
    queue.length++;
    frame.set(kFrameQueued);
}

void unlink_locked(Frame& frame) REQUIRES(queue.lock) {
    (frame.previous == kNoFrame ? queue.head : frame_table[frame.previous].next) = frame.next;
    (frame.next == kNoFrame ? queue.tail : frame_table[frame.next].previous) = frame.previous;
    queue.length--;
    frame.clear(kFrameQueued);
}

void move_to_end_locked(Frame& frame) REQUIRES(queue.lock) {
    if (frame.next == kNoFrame) return;
    uint32_t number = frame_number(frame).value();
    (frame.previous == kNoFrame ? queue.head : frame_table[frame.previous].next) = frame.next;
    frame_table[frame.next].previous = frame.previous;
    frame.next = kNoFrame;
    frame.previous = queue.tail;
    frame_table[queue.tail].next = number;
    queue.tail = number;
}

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

constinit CacheShrinker shrinkers[4] = {};  // constant after the boot

uint32_t shrink_caches(uint32_t wanted) {
    uint32_t given = 0;
    for (CacheShrinker shrink : shrinkers)
        if (shrink) given += shrink(wanted);
    return given;
}

}  // namespace

// What reclaim may do to an object whose lock it got.
class Reclaimer {
  public:
    // Takes the oldest frame: drops it if it can, else moves it to the end. True if a frame came free. The frame stays queued, seen from
    // outside, until its object's lock is held: who removes it meanwhile must find the mark and wait for the queue.
    static bool step_locked() REQUIRES(queue.lock) NO_THREAD_SAFETY_ANALYSIS {
        Frame& frame = frame_table[queue.head];
        // While it is queued its object lives: an object dequeues all its frames before it dies.
        Object* object = frame.object;
        bool dropped = false;
        if (object->lock_.try_lock()) {
            dropped = try_drop(*object, frame);
            object->lock_.unlock();
        }
        if (!dropped) move_to_end_locked(frame);
        return dropped;
    }

  private:
    static bool try_drop(Object& object, Frame& frame) NO_THREAD_SAFETY_ANALYSIS {
        if (frame.flags.load(memory_order_relaxed) & (kFrameBusy | kFrameWriteBack | kFrameDirty)) return false;
        if (frame.pins.load(memory_order_relaxed) != 0) return false;
        if (frame.is(kFrameReferenced)) {
            frame.clear(kFrameReferenced);
            return false;
        }
        if (frame.map.load(memory_order_relaxed) != 0) {
            if (was_accessed(frame)) return false;
            // A mapping may have made it dirty: then it stays, for the write-back to find.
            if (!frame_unmap(frame, TableWait::kTry) || frame.is(kFrameDirty)) return false;
        }
        unlink_locked(frame);
        object.remove_locked(frame);
        return true;
    }
};

void reclaim_register(CacheShrinker shrink) {
    for (CacheShrinker& place : shrinkers) {
        if (place == shrink) return;  // only tests boot twice
        if (place) continue;
        place = shrink;
        return;
    }
    PANIC("too many caches that shrink");
}

void reclaim_initialize() {
    LockGuard guard(queue.lock);
    queue.head = queue.tail = kNoFrame;
    queue.length = 0;
}

void reclaim_enqueue(Frame& frame) {
    LockGuard guard(queue.lock);
    push_locked(frame);
}

void reclaim_dequeue(Frame& frame) {
    if (!frame.is(kFrameQueued)) return;
    LockGuard guard(queue.lock);
    unlink_locked(frame);
}

void reclaim_barrier() { LockGuard guard(queue.lock); }

uint32_t reclaim_clean(uint32_t wanted) {
    uint32_t freed = 0, steps = 0, limit = 1;
    while (freed < wanted && steps++ < limit) {
        LockGuard guard(queue.lock);
        if (queue.length == 0) break;
        if (steps == 1) limit = queue.length * 3;  // once round clears the references, the second finds who kept them
        if (Reclaimer::step_locked()) freed++;
    }
    return freed;
}

bool reclaim_with_write_back() {
    constexpr uint32_t kBatch = 32, kThings = 256;
    if (reclaim_clean(kBatch) > 0) return true;
    ignore_result(objects_write_back_all(WriteBack::kWait));  // an error stays with the object, for its fsync
    if (reclaim_clean(kBatch) > 0) return true;
    const uint32_t free_before = frame_statistics().free;
    while (shrink_caches(kThings) != 0) {  // a frame is free when the last thing in its slab is
        slab_drain();
        if (reclaim_clean(kBatch) > 0 || frame_statistics().free > free_before) return true;
    }
    return false;
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
                FlushBatch batch;
                slot_hide(table, entry, slot.index(), batch);
                batch.flush();
                slot_release(table, entry, slot.index(), frame);
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
