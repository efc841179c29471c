// Finding free frames when there are none: clean cached pages are dropped, oldest first, with a second chance for those in use. The
// reclaimer comes against the lock order, so it only ever tries: objects and page tables that somebody holds are
// passed over.
#pragma once

#include <cstdint>

#include "mm/frame.h"

namespace faultline {

void reclaim_initialize();  // boot

// A page that its source can bring back joins or leaves the queue. Under its object's lock.
void reclaim_enqueue(Frame& frame);
void reclaim_dequeue(Frame& frame);
// An object without frames is about to die: the reclaimer, which may have dropped its last one, has let go of its lock.
void reclaim_barrier();

// Drops up to `wanted` clean pages without sleeping; returns how many. Any locks but the queue's own may be held; preemption on.
uint32_t reclaim_clean(uint32_t wanted);

// As reclaim_clean, but writes dirty pages back first where none are clean, and asks the caches above mm when that brings nothing.
// Sleeps; nothing may be held that a write-back needs (space, object, a file system's locks). False if nothing could be freed.
bool reclaim_with_write_back();

// A cache above mm whose memory is no pages (names, inodes): gives back up to `wanted` of what nobody uses, the oldest first, and
// says how many. May sleep. Boot registers them, those that hold the others' things first.
using CacheShrinker = uint32_t (*)(uint32_t wanted);
void reclaim_register(CacheShrinker shrink);

// Takes a frame out of every page table and every TLB; D bits of shared entries are collected in the frame. Waits for tables that are
// locked, or, with kTry, gives up at the first one: some entries may be gone then. Under the object's lock.
enum class TableWait : uint8_t { kWait, kTry };
bool frame_unmap(Frame& frame, TableWait wait);

}  // namespace faultline
