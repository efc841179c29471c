// Physical memory: one 32-byte record for every page of RAM, and the allocator of pages (xv6: kalloc, kfree).
// A buddy allocator with per-CPU magazines in front of it. Running out is an error the caller passes on.
#pragma once

#include <cstdint>
#include <span>

#include "arch/mmu.h"
#include "lib/address.h"
#include "lib/result.h"

namespace faultline {

struct FrameRange {
  FrameNumber first;
  uint32_t count = 0;
};

// What a frame is used for: shown by /proc and memview, checked by the invariants.
enum class FrameUse : uint8_t {
  kFree,
  kReserved,
  kKernel,
  kSlab,
  kKernelStack,
  kPageDirectory,
  kPageTable,
  kAnonymous,
  kObject,
};

enum class Zeroing : uint8_t { kNotNeeded, kZeroed };

// Builds the frame table and the free lists from RAM that nobody uses (sorted, disjoint). Boot only; panics if the table
// does not fit.
void frames_initialize(std::span<const FrameRange> usable);

// One page, with map and pins zero. May run reclaim (and so sleep) unless called with preemption off. Errors: kNOMEM.
Result<FrameNumber> frame_allocate(FrameUse use, Zeroing zeroing);
void frame_free(FrameNumber frame);
// The same frame for another purpose: what it is counted as.
void frame_change_use(FrameNumber frame, FrameUse use);

// 2^order contiguous pages for drivers and slabs. Errors: kNOMEM.
Result<FrameNumber> frames_allocate(uint32_t order, FrameUse use, Zeroing zeroing);
void frames_free(FrameNumber first, uint32_t order);

// Every CPU's free frames go back to the shared lists: before giving up, and to make larger blocks.
void frames_gather();
// How many free pages are wanting below the mark at which the reclaimer begins, and that at which it may rest.
uint32_t frames_short_of_low();
uint32_t frames_short_of_high();
bool frames_are_left();  // in the shared lists, for whoever may take the last ones

struct FrameStatistics {
  uint32_t total;             // pages of RAM the kernel manages
  uint32_t free;              // exact: magazines counted as free
  uint32_t by_use[16];        // by FrameUse
  uint32_t allocated, freed;  // since boot, modulo 2^32
};
FrameStatistics frame_statistics();

}  // namespace faultline
