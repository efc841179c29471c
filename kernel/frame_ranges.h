// A sorted set of disjoint ranges of frames of a fixed capacity: what remains of a memory map after everything that is
// in use has been cut out. Pure; the boot code fills it before there is an allocator.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "mm/frames.h"

namespace faultline {

class FrameRangeSet {
 public:
  static constexpr uint32_t kCapacity = 64;

  std::span<const FrameRange> ranges() const { return {ranges_.data(), count_}; }
  uint32_t frames() const;
  // Frames that were given up because the set would have had more than kCapacity pieces.
  uint32_t lost_frames() const { return lost_; }

  // Adds [first, end), merging what touches or overlaps.
  void add(uint32_t first, uint32_t end);
  // Takes out [first, end), wholly or partly there or not.
  void remove(uint32_t first, uint32_t end);
  // Takes `count` contiguous frames out of the lowest range that has them at or above `floor`; none() if there is none.
  FrameNumber take(uint32_t count, uint32_t floor);

 private:
  static uint32_t start_of(const FrameRange& range) { return range.first.value(); }
  static uint32_t end_of(const FrameRange& range) { return range.first.value() + range.count; }
  void insert_at(uint32_t index, uint32_t first, uint32_t end);
  void erase_at(uint32_t index);

  std::array<FrameRange, kCapacity> ranges_ = {};
  uint32_t count_ = 0;
  uint32_t lost_ = 0;
};

}  // namespace faultline
