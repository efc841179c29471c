// SparseArray against std::map under random operations, with allocation failures.
#include "lib/sparse_array.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace faultline {
namespace {

struct CountingAllocator {
  static inline int live = 0;
  static inline int fail_in = -1;  // the allocation that fails, counted down; -1: none
  static void* allocate(size_t bytes) {
    if (fail_in >= 0 && fail_in-- == 0) return nullptr;
    live++;
    return ::operator new(bytes);
  }
  static void release(void* memory, size_t) {
    live--;
    ::operator delete(memory);
  }
};
using Array = SparseArray<CountingAllocator>;

// Indices that crowd the borders of nodes and levels.
uint32_t random_index(std::mt19937& random) {
  static constexpr uint32_t kBases[] = {0, 60, 64, 4090, 4096, 262140, 0x00ffffff, 0x3ffffff0, 0x7fffffff, 0xffffffc0};
  return kBases[random() % std::size(kBases)] + random() % 40;
}

TEST(SparseArray, AgreesWithAMap) {
  for (uint32_t seed = 1; seed <= 20; seed++) {
    std::mt19937 random(seed);
    std::map<uint32_t, uint32_t> model;
    {
      Array array;
      for (int step = 0; step < 5000; step++) {
        uint32_t index = random_index(random);
        switch (random() % 4) {
          case 0:
          case 1: {
            uint32_t value = random() | 1;
            CountingAllocator::fail_in = random() % 8 == 0 ? static_cast<int>(random() % 4) : -1;
            bool stored = array.set(index, value);
            bool may_fail = CountingAllocator::fail_in < 0;
            CountingAllocator::fail_in = -1;
            if (stored)
              model[index] = value;
            else
              ASSERT_TRUE(may_fail);
            break;
          }
          case 2: {
            auto found = model.find(index);
            ASSERT_EQ(array.take(index), found == model.end() ? 0 : found->second) << "seed " << seed;
            if (found != model.end()) model.erase(found);
            break;
          }
          case 3: {
            auto expected = model.lower_bound(index);
            uint32_t at = 0, value = 0;
            ASSERT_EQ(array.next(index, at, value), expected != model.end()) << "seed " << seed << " step " << step;
            if (expected != model.end()) {
              ASSERT_EQ(at, expected->first);
              ASSERT_EQ(value, expected->second);
            }
          }
        }
        ASSERT_EQ(array.count(), model.size());
        auto found = model.find(index);
        ASSERT_EQ(array.get(index), found == model.end() ? 0 : found->second);
      }
      for (auto& [index, value] : model) ASSERT_EQ(array.take(index), value);
      ASSERT_EQ(CountingAllocator::live, 0) << "empty nodes are freed at once";
    }
  }
}

TEST(SparseArray, AnArrayThatWasEmptyFreesAllItsNodesAgain) {
  for (uint32_t index : {0u, 63u, 64u, 80u, 4096u, 0x12345678u, 0xffffffffu}) {
    Array array;
    for (int round = 0; round < 2; round++) {
      ASSERT_TRUE(array.set(index, 1));
      ASSERT_EQ(array.take(index), 1u);
      ASSERT_EQ(CountingAllocator::live, 0) << "index " << index;
    }
  }
}

}  // namespace
}  // namespace faultline
