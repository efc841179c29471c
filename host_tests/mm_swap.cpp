// Moments of the reclaimer's and of swap that the fuzzer does not reach.
#include <cstring>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "host_tests/support/emulated_machine.h"
#include "mm/frames.h"
#include "mm/object.h"
#include "mm/reclaim.h"
#include "mm/swap_cache.h"

namespace faultline::host {
namespace {

class Disk final : public SwapStore {
 public:
  Result<void> read_pages(uint32_t first, std::span<const FrameNumber> frames) override {
    for (size_t i = 0; i < frames.size(); i++) memcpy(direct_map(frames[i]), pages_[first + static_cast<uint32_t>(i)].data(), kPageSize);
    return {};
  }
  Result<void> write_pages(uint32_t first, std::span<const FrameNumber> frames) override {
    for (size_t i = 0; i < frames.size(); i++) {
      const uint32_t page = first + static_cast<uint32_t>(i);
      if (page == bad_page) return Errno::kIO;
      const uint8_t* bytes = direct_map_bytes(frames[i]);
      pages_[page].assign(bytes, bytes + kPageSize);
    }
    return {};
  }
  uint32_t bad_page = 0;  // cannot be written; 0, the header, never is

 private:
  std::map<uint32_t, std::vector<uint8_t>> pages_;
};

constexpr uint32_t kPages = 24;
constexpr VirtAddr kPlace(0x10000000);
constexpr Protection kReadWrite = kProtRead | kProtWrite;

// One space on CPU 0 with some private pages, each with a byte of its own.
class SwapMoments : public testing::Test {
 protected:
  SwapMoments() {
    machine_start({.frames = 600, .cpus = 2});
    space_ = AddressSpace::create().release_value();
    machine_run(0, space_.get());
    map(nullptr);
  }
  ~SwapMoments() override {
    on_flush = nullptr;
    machine_run(0, nullptr);
  }
  void map(Object* object) {
    MapRequest request;
    request.address = kPlace;
    request.fixed = true;
    request.bytes = kPages * kPageSize;
    request.protection = request.max_protection = kReadWrite;
    request.shared = object != nullptr;
    if (object) request.object = Ref<Object>(*object);
    EXPECT_TRUE(space_->map(request).ok());
  }
  void fill() {
    for (uint32_t i = 0; i < kPages; i++) {
      const uint8_t byte = static_cast<uint8_t>(i + 1);
      EXPECT_EQ(machine_write(page(i), &byte, 1), FaultOutcome::kResolved);
    }
  }
  void check() {
    for (uint32_t i = 0; i < kPages; i++) {
      uint8_t byte = 0;
      EXPECT_EQ(machine_read(page(i), &byte, 1), FaultOutcome::kResolved);
      EXPECT_EQ(byte, i + 1);
    }
  }
  uint32_t swapped() { return space_->statistics().swapped; }
  void press_out(uint32_t wanted = kPages) {
    for (int rounds = 0; rounds < 100 && swapped() < wanted; rounds++) reclaim_pages(8);
    EXPECT_GE(swapped(), wanted);
  }
  static VirtAddr page(uint32_t number) { return kPlace + number * kPageSize; }

  Disk disk_;
  Ref<AddressSpace> space_;
};

TEST_F(SwapMoments, ASlotOfAnAreaThatHasGoneIsNobodys) {
  const uint32_t area = swap_add(disk_, 100, {}, 0).release_value();
  fill();
  press_out();
  const SwapSlot slot = pte_swap_slot(space_->entry_of(page(3)));
  ASSERT_TRUE(swap_remove(area).ok());
  EXPECT_TRUE(swap_read(slot).ok());  // nothing is left to be read: worth looking again
  check();
}

TEST_F(SwapMoments, OnePageThatCannotBeWrittenKeepsNoOther) {
  ASSERT_TRUE(swap_add(disk_, 100, {}, 0).ok());
  disk_.bad_page = 5;
  fill();
  for (int rounds = 0; rounds < 20; rounds++) reclaim_pages(kPages);
  EXPECT_EQ(swap_statistics().cached, 1u);  // the frame with the bad slot is all that had to stay
  EXPECT_EQ(swapped(), kPages);
  check();
}

TEST_F(SwapMoments, AFileTruncatedWithItsLastPageInSwapShowsZeroes) {
  ASSERT_TRUE(swap_add(disk_, 100, {}, 0).ok());
  Ref<Object> object = Object::create_anonymous(kPages * kPageSize).release_value();
  map(object.get());
  std::vector<uint8_t> bytes(kPageSize, 0xff);
  ASSERT_EQ(machine_write(page(0), bytes.data(), kPageSize), FaultOutcome::kResolved);
  for (int rounds = 0; rounds < 20 && object->swapped_pages() == 0; rounds++) reclaim_pages(8);
  ASSERT_EQ(object->swapped_pages(), 1u);
  ASSERT_TRUE(object->resize(100).ok());
  ASSERT_EQ(machine_read(page(0), bytes.data(), kPageSize), FaultOutcome::kResolved);
  EXPECT_EQ(bytes[99], 0xff);
  EXPECT_EQ(bytes[100], 0);
  EXPECT_EQ(bytes[kPageSize - 1], 0);
}

TEST_F(SwapMoments, AnObjectThatStaysInMemoryDoes) {
  ASSERT_TRUE(swap_add(disk_, 100, {}, 0).ok());
  Ref<Object> object = Object::create_anonymous(kPages * kPageSize).release_value();
  object->set_stays_in_memory(true);
  map(object.get());
  fill();
  for (int rounds = 0; rounds < 20; rounds++) reclaim_pages(8);
  EXPECT_EQ(object->swapped_pages(), 0u);
  object->set_stays_in_memory(false);
  for (int rounds = 0; rounds < 20; rounds++) reclaim_pages(8);
  EXPECT_GT(object->swapped_pages(), 0u);
  check();
}

class ZeroSource final : public PageSource {
 public:
  Result<void> read_pages(PageIndex, std::span<const FrameNumber> frames) override {
    for (FrameNumber frame : frames) memset(direct_map(frame), 0, kPageSize);
    return {};
  }
  Result<void> write_pages(PageIndex, std::span<const FrameNumber>) override { return {}; }
  Result<void> prepare_write(PageIndex, uint32_t) override { return {}; }
};
class Cached final : public Object {
 public:
  using Object::Object;
  void acquire() override {}
  void release() override {}
};

TEST_F(SwapMoments, PagesPinnedWhileTheirVictimsAreFlushedStay) {
  ZeroSource source;
  Cached object(source, kPages * kPageSize);
  map(&object);
  uint8_t byte;
  for (uint32_t i = 0; i < kPages; i++) ASSERT_EQ(machine_read(page(i), &byte, 1), FaultOutcome::kResolved);
  std::vector<PinnedFrame> pins;
  on_flush = [&] {
    for (uint32_t i = 0; pins.size() < kPages; i++) pins.push_back(object.page(PageIndex(i)).release_value());
  };
  for (int rounds = 0; rounds < 5; rounds++) EXPECT_EQ(reclaim_pages(kPages), 0u);
  EXPECT_EQ(pins.size(), kPages);
  EXPECT_EQ(object.resident_pages(), kPages);
  on_flush = nullptr;
  pins.clear();
  for (int rounds = 0; rounds < 5; rounds++) reclaim_pages(kPages);
  EXPECT_EQ(object.resident_pages(), 0u);
  ASSERT_TRUE(space_->unmap(kPlace, kPages * kPageSize).ok());
  object.drop_all();
}

// The kernel's own pages may be had from the reserve, one by one, without the rest of it lying open to programs.
TEST(LastFrames, AreTheKernels) {
  machine_start({.frames = 600, .cpus = 1});
  may_use_last_frames = false;
  std::vector<FrameNumber> taken;
  auto take = [&](FrameUse use) {
    PreemptionGuard no_waiting;
    auto frame = frame_allocate(use, Zeroing::kNotNeeded);
    if (frame.ok()) taken.push_back(frame.value());
    return frame.ok();
  };
  while (take(FrameUse::kAnonymous)) {}
  for (int i = 0; i < 10; i++) {
    EXPECT_TRUE(take(FrameUse::kPageTable));
    EXPECT_FALSE(take(FrameUse::kAnonymous));
  }
  for (FrameNumber frame : taken) frame_free(frame);
  may_use_last_frames = true;
}

}  // namespace
}  // namespace faultline::host
