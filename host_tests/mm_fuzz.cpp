// Runs the fuzzer over many seeds, and proves by planted bugs that it would find what can go wrong. Each run is a process of its own. To
// replay a failure: FAULTLINE_FUZZ_SEED=n [FAULTLINE_FUZZ_STEPS=n] [FAULTLINE_FUZZ_TRACE=1] [FAULTLINE_FUZZ_CHECK=1] tests --gtest_filter=MemoryFuzz.*
#include <cstdlib>

#include <gtest/gtest.h>
#include <machine/planted_bugs.h>

#include "in_child.h"
#include "mm_fuzzer.h"

namespace faultline::host {
namespace {

FuzzOptions options_for(uint32_t seed) {
  FuzzOptions options;
  options.seed = seed;
  options.operations = environment("FAULTLINE_FUZZ_STEPS", 1500);
  options.frames = seed % 4 == 0 ? 260 : 460;  // every fourth machine is short of memory
  options.inject_failures = seed % 2 == 0;
  options.has_swap = seed % 3 != 0;
  options.full_check = environment("FAULTLINE_FUZZ_CHECK", 64);
  options.trace = environment("FAULTLINE_FUZZ_TRACE", 0);
  return options;
}

TEST(MemoryFuzz, AgreesWithTheModelAndKeepsTheInvariants) {
  uint32_t first = environment("FAULTLINE_FUZZ_SEED", 1);
  uint32_t seeds = getenv("FAULTLINE_FUZZ_SEED") ? 1 : environment("FAULTLINE_FUZZ_SEEDS", 12);
  for (uint32_t seed = first; seed < first + seeds; seed++)
    ASSERT_TRUE(ends_well(Output::kShown, [&] { Fuzzer(options_for(seed)).run(); })) << "seed " << seed;
}

class PlantedBug : public ::testing::TestWithParam<uint8_t> {};

// Within 50,000 operations, over several seeds.
TEST_P(PlantedBug, IsFound) {
  constexpr uint32_t kOperations = 50'000, kEach = 2'500;
  for (uint32_t seed = 1; seed <= kOperations / kEach; seed++) {
    FuzzOptions options;
    options.seed = seed * 2 + 1;
    options.operations = kEach;
    options.inject_failures = GetParam() == static_cast<uint8_t>(machine::Bug::kSlotErrorIgnored);
    bool passed = ends_well(Output::kDiscarded, [&] {
      machine::planted_bug = static_cast<machine::Bug>(GetParam());
      Fuzzer(options).run();
    });
    if (!passed) return;
  }
  FAIL() << "50,000 operations did not find planted bug " << int{GetParam()};
}

const char* const kBugNames[] = {
    "ForkWithoutFlush",
    "FlushOneCpuOnly",
    "NoFlushAfterDirectoryChange",
    "ZeroPageExclusive",
    "SharedTableSole",
    "WritableLeftOnUnshare",
    "FreeBeforeFlush",
    "PinIgnored",
    "NoEndOfFileCheck",
    "DirtyLostAtUnmap",
    "HiddenLeavesPresent",
    "UnmapWithoutFlush",
    "WriteBackWithoutFlush",
    "CopyWithoutFlush",
    "ProtectWithoutFlush",
    "TailNotZeroed",
    "LocatorNotMoved",
    "CopiesOutliveTruncation",
    "SwapCacheIgnored",
    "ReusedDuringWriteBack",
    "DirtyDroppedAtEviction",
    "EvictionWithoutFlush",
    "SlotNotCountedAtCopy",
    "SlotFreedWhileCached",
    "SlotKeptByWriter",
    "SlotErrorIgnored",
};
static_assert(std::size(kBugNames) == static_cast<size_t>(machine::kFirstConcurrentBug));

INSTANTIATE_TEST_SUITE_P(All, PlantedBug, ::testing::Range(uint8_t{0}, static_cast<uint8_t>(machine::kFirstConcurrentBug)),
                         [](const auto& parameter) { return kBugNames[parameter.param]; });

}  // namespace
}  // namespace faultline::host
