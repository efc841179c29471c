// The set of usable RAM ranges against a plain bitmap.
#include "kernel/frame_ranges.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace faultline {
namespace {

constexpr uint32_t kFrames = 600;

std::vector<bool> bits_of(const FrameRangeSet& set) {
  std::vector<bool> bits(kFrames);
  uint32_t before = 0;
  bool first = true;
  for (const FrameRange& range : set.ranges()) {
    EXPECT_GT(range.count, 0u);
    EXPECT_TRUE(first || range.first.value() > before) << "ranges touch or are out of order";
    before = range.first.value() + range.count;
    first = false;
    for (uint32_t i = 0; i < range.count; i++) bits[range.first.value() + i] = true;
  }
  return bits;
}

TEST(FrameRangeSet, AgreesWithABitmapUnderRandomAddAndRemove) {
  for (uint32_t seed = 0; seed < 300; seed++) {
    std::mt19937 random(seed);
    FrameRangeSet set;
    std::vector<bool> model(kFrames);
    for (int step = 0; step < 60; step++) {
      uint32_t first = random() % kFrames, end = std::min(kFrames, first + static_cast<uint32_t>(random()) % 40);
      bool adds = random() % 2;
      adds ? set.add(first, end) : set.remove(first, end);
      for (uint32_t i = first; i < end; i++) model[i] = adds;
      ASSERT_EQ(set.lost_frames(), 0u);
      ASSERT_EQ(bits_of(set), model) << "seed " << seed << " step " << step;
    }
  }
}

TEST(FrameRangeSet, TooManyPiecesLoseMemoryButNeverInventIt) {
  FrameRangeSet set;
  set.add(0, kFrames);
  for (uint32_t i = 1; i < kFrames; i += 4) set.remove(i, i + 1);
  EXPECT_EQ(set.ranges().size(), FrameRangeSet::kCapacity);
  EXPECT_GT(set.lost_frames(), 0u);
  std::vector<bool> bits = bits_of(set);
  for (uint32_t i = 1; i < kFrames; i += 4) EXPECT_FALSE(bits[i]) << i;
  EXPECT_EQ(set.frames(), 3 * FrameRangeSet::kCapacity);
}

TEST(FrameRangeSet, TakeFindsTheLowestFitAboveTheFloor) {
  FrameRangeSet set;
  set.add(10, 14);
  set.add(20, 40);
  EXPECT_EQ(set.take(6, 0).value(), 20u);
  EXPECT_EQ(set.take(3, 0).value(), 10u);
  EXPECT_EQ(set.take(2, 30).value(), 30u);
  EXPECT_EQ(set.frames(), 24u - 11u);
  EXPECT_TRUE(set.take(50, 0).is_none());
}

}  // namespace
}  // namespace faultline
