// The set of frame ranges: insertion and removal in a small sorted array.
#include "kernel/frame_ranges.h"

#include <algorithm>

namespace faultline {

uint32_t FrameRangeSet::frames() const {
  uint32_t total = 0;
  for (const FrameRange& range : ranges()) total += range.count;
  return total;
}

void FrameRangeSet::insert_at(uint32_t index, uint32_t first, uint32_t end) {
  if (count_ == kCapacity) {
    lost_ += end - first;
    return;
  }
  for (uint32_t i = count_; i > index; i--) ranges_[i] = ranges_[i - 1];
  ranges_[index] = {FrameNumber(first), end - first};
  count_++;
}

void FrameRangeSet::erase_at(uint32_t index) {
  for (uint32_t i = index; i + 1 < count_; i++) ranges_[i] = ranges_[i + 1];
  count_--;
}

void FrameRangeSet::add(uint32_t first, uint32_t end) {
  if (first >= end) return;
  uint32_t index = 0;
  while (index < count_ && end_of(ranges_[index]) < first) index++;
  while (index < count_ && start_of(ranges_[index]) <= end) {
    first = std::min(first, start_of(ranges_[index]));
    end = std::max(end, end_of(ranges_[index]));
    erase_at(index);
  }
  insert_at(index, first, end);
}

void FrameRangeSet::remove(uint32_t first, uint32_t end) {
  if (first >= end) return;
  for (uint32_t index = 0; index < count_;) {
    uint32_t start = start_of(ranges_[index]), stop = end_of(ranges_[index]);
    if (stop <= first || start >= end) {
      index++;
      continue;
    }
    erase_at(index);
    if (start < first) insert_at(index++, start, first);
    if (stop > end) insert_at(index++, end, stop);
  }
}

FrameNumber FrameRangeSet::take(uint32_t count, uint32_t floor) {
  for (const FrameRange& range : ranges()) {
    uint32_t first = std::max(start_of(range), floor);
    if (first >= end_of(range) || end_of(range) - first < count) continue;
    remove(first, first + count);
    return FrameNumber(first);
  }
  return FrameNumber::none();
}

}  // namespace faultline
