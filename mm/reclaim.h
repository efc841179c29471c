// Finding free frames when there are none: pages that a file, or swap, can bring back are taken from those who use them least. The
// reclaimer comes against the lock order, so it only ever tries: objects and page tables that somebody holds are
// passed over.
#pragma once

#include <cstdint>

#include "mm/frame.h"

namespace faultline {

void reclaim_initialize(Policy policy);  // boot

// A page that can be brought back joins the queue (no effect if it is there): of an object, under its lock; anonymous, under the lock of a table
// that has it, or pinned. It leaves before its frame is freed.
enum class Demand : uint8_t { kWanted, kReadAhead };
void reclaim_enqueue(Frame& frame, Demand demand = Demand::kWanted);
void reclaim_dequeue_queued(Frame& frame);
inline void reclaim_dequeue(Frame& frame) {
  if (frame.is_queued()) [[unlikely]]
    reclaim_dequeue_queued(frame);
}
// An object without frames is about to die: the reclaimer, which may have taken its last one, has let go of its lock.
void reclaim_barrier();

// Makes up to `wanted` pages free, those least used first: clean ones are dropped, private and shared memory goes to swap. Sleeps on the swap
// device only, so any sleeping lock may be held; no spin lock. Returns how many came free.
uint32_t reclaim_pages(uint32_t wanted);
// The same for the reclaimer's thread, which has time: files are written back as soon as most of what there is to take is dirty. Nothing may be
// held. False: nothing came free.
bool reclaim_ahead(uint32_t wanted);
// Drops up to `wanted` clean pages, used or not. Sleeps for other searches only.
uint32_t reclaim_clean(uint32_t wanted);

// As reclaim_pages, but writes files back where nothing else helps, and asks the caches above mm when that brings nothing.
// Sleeps; nothing may be held that a write-back needs (space, object, a file system's locks). False if nothing could be freed.
bool reclaim_with_write_back();

// The reclaimer's thread: sleeps until it is called, because free pages have become few, and then frees pages, files' dirty ones included, until
// there are enough. Never returns.
void reclaim_for_ever(void*);
void reclaim_call();  // any context but under a lock that comes after the wait queues'

// Nothing can be freed any more: somebody's memory is taken, and waited for. kernel/ implements it (its killer). Nothing may be held that the end of
// a process needs. False: it is the caller that ends, or there is nobody to end.
bool memory_ran_out();
// Whether the running thread may take the frames that are kept back: it ends, and gives back more than it takes, or is the kernel's own. Any context.
bool may_use_last_frames();
// Whether it is its process' end that gives back more than it takes: with a frame left it does not look for others. Any context.
bool running_process_gives_back();
bool is_writing_for_memory();  // so may the thread that writes files back for others
// Frees something at any price: by reclaim_with_write_back(), or by memory_ran_out(). False as that.
bool reclaim_or_end_somebody();

// A cache above mm whose memory is no pages (names, inodes): gives back up to `wanted` of what nobody uses, the oldest first, and
// says how many. May sleep. Boot registers them, those that hold the others' things first.
using CacheShrinker = uint32_t (*)(uint32_t wanted);
void reclaim_register(CacheShrinker shrink);

// Takes a frame out of every page table; D bits of shared entries are collected in the frame; where it has a swap slot, entries name that from
// now on. Waits for tables that are locked, and flushes every TLB; or, with kTry, takes only entries that are in no TLB because their A has been
// clear since the last flush, and gives up at one that is not, at one that mlock holds, and at a locked table: some entries may be gone
// then. Under the object's lock, if it has one.
enum class TableWait : uint8_t { kWait, kTry };
bool frame_unmap(Frame& frame, TableWait wait);

}  // namespace faultline
