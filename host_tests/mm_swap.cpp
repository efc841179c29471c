// Moments of the reclaimer's and of swap that the fuzzer does not reach.
#include <cstring>
#include <map>
#include <optional>
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
      if (picks_bad_page && bad_page_ == 0 && frames.size() > 2) bad_page_ = first + 1;
      if (page == bad_page_) return Errno::kIO;
      const uint8_t* bytes = direct_map_bytes(frames[i]);
      pages_[page].assign(bytes, bytes + kPageSize);
    }
    return {};
  }
  bool picks_bad_page = false;  // one in the middle of what is written cannot be

 private:
  uint32_t bad_page_ = 0;  // none: 0, the header, is never written
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
    space_ = nullptr;
    if (area_) swap_off();
  }
  void swap_on() { area_ = swap_add(disk_, 100, {}, 0).release_value(); }
  void swap_off() {
    EXPECT_TRUE(swap_remove(*area_).ok());
    area_.reset();
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
  std::optional<uint32_t> area_;
  Ref<AddressSpace> space_;
};

TEST_F(SwapMoments, ASlotOfAnAreaThatHasGoneIsNobodys) {
  swap_on();
  fill();
  press_out();
  const SwapSlot slot = pte_swap_slot(space_->entry_of(page(3)));
  swap_off();
  EXPECT_TRUE(swap_read(slot).ok());  // nothing is left to be read: worth looking again
  check();
}

TEST_F(SwapMoments, OnePageThatCannotBeWrittenKeepsNoOther) {
  swap_on();
  disk_.picks_bad_page = true;
  fill();
  for (int rounds = 0; rounds < 20; rounds++) reclaim_pages(kPages);
  EXPECT_EQ(swap_statistics().cached, 1u);  // the frame with the bad slot is all that had to stay
  EXPECT_EQ(swapped(), kPages);
  check();
}

TEST_F(SwapMoments, AFileTruncatedWithItsLastPageInSwapShowsZeroes) {
  swap_on();
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
  swap_on();
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
  machine_start({.frames = 8192, .cpus = 1});
  may_use_last_frames = false;
  std::vector<FrameNumber> taken;
  auto take = [&](FrameUse use) {
    PreemptionGuard no_waiting;
    auto frame = frame_allocate(use, Zeroing::kNotNeeded);
    if (frame.ok()) taken.push_back(frame.value());
    return frame.ok();
  };
  while (take(FrameUse::kAnonymous)) {
  }
  for (int i = 0; i < 10; i++) {
    EXPECT_TRUE(take(FrameUse::kPageTable));
    EXPECT_FALSE(take(FrameUse::kAnonymous));
  }
  for (FrameNumber frame : taken) frame_free(frame);
  may_use_last_frames = true;
}

}  // namespace
}  // namespace faultline::host
