// The set of frame ranges: insertion and removal in a small sorted array.
#include "kernel/frame_ranges.h"

#include <algorithm>

namespace faultline {

uint32_t FrameRangeSet::frames() const {
  uint32_t total = 0;
  for (const FrameRange& range : ranges()) total += range.count;
  return total;
}

// When the set is full, the smallest piece is given up, be it the new one.
void FrameRangeSet::insert_at(uint32_t index, uint32_t first, uint32_t end) {
  if (count_ == kCapacity) {
    auto smallest = std::min_element(ranges_.begin(), ranges_.end(), [](const auto& a, const auto& b) { return a.count < b.count; });
    lost_ += std::min(smallest->count, end - first);
    if (smallest->count >= end - first) return;
    uint32_t given_up = static_cast<uint32_t>(smallest - ranges_.begin());
    erase_at(given_up);
    if (given_up < index) index--;
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
  auto overlaps = [=](const FrameRange& range) { return start_of(range) < end && end_of(range) > first; };
  while (first < end) {
    auto found = std::find_if(ranges_.begin(), ranges_.begin() + count_, overlaps);
    if (found == ranges_.begin() + count_) return;
    uint32_t start = start_of(*found), stop = end_of(*found);
    erase_at(static_cast<uint32_t>(found - ranges_.begin()));
    add(start, std::max(start, first));
    add(std::min(stop, end), stop);
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
