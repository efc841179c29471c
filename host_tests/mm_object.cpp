// The page cache before a source that cannot read every page, and what read(2) makes of it.
#include <cstring>
#include <set>

#include <gtest/gtest.h>

#include "host_tests/support/emulated_machine.h"
#include "mm/io_buffer.h"
#include "mm/space.h"

namespace faultline::host {
namespace {

class DamagedSource final : public PageSource {
 public:
  Result<void> read_pages(PageIndex first, std::span<const FrameNumber> frames) override {
    for (size_t i = 0; i < frames.size(); i++) {
      uint32_t index = first.value() + static_cast<uint32_t>(i);
      if (bad.count(index)) return failures++, Errno::kIO;
      memset(direct_map_bytes(frames[i]), static_cast<int>(index + 1), kPageSize);
    }
    return {};
  }
  Result<void> write_pages(PageIndex, std::span<const FrameNumber>) override { return {}; }
  Result<void> prepare_write(PageIndex, uint32_t) override { return {}; }
  std::set<uint32_t> bad;
  uint32_t failures = 0;
};

class Cached final : public Object {
 public:
  using Object::Object;
  void acquire() override {}
  void release() override {}
};

TEST(ObjectWithABadBlock, FailsThatPageOnly) {
  machine_start({.frames = 400, .cpus = 1});
  DamagedSource source;
  source.bad = {2, 9};
  Cached object(source, 16 * kPageSize);
  // In order, backwards, and from the middle of a read-ahead window.
  for (uint32_t index : {0u, 1u, 2u, 3u, 8u, 9u, 15u, 10u, 2u, 1u}) {
    auto page = object.page(PageIndex(index));
    ASSERT_EQ(page.ok(), source.bad.count(index) == 0) << "page " << index;
    if (page.ok()) {
      EXPECT_EQ(page.value().data()[kPageSize - 1], index + 1);
    } else {
      EXPECT_EQ(page.error(), Errno::kIO);
    }
  }
  object.read_ahead(PageIndex(0), 16);
  EXPECT_FALSE(object.is_resident(PageIndex(2)));
  source.bad.clear();
  EXPECT_TRUE(object.page(PageIndex(2)).ok());  // a block that recovered is read again
  object.drop_all();
}

// What has arrived is counted and no more: a second attempt might move bytes that nobody is told of.
TEST(CopyToUserMemory, IsNotTriedAgainWhereItFailed) {
  machine_start({.frames = 400, .cpus = 1});
  DamagedSource source;
  source.bad = {1};
  Cached object(source, 2 * kPageSize);
  ASSERT_TRUE(object.page(PageIndex(0)).ok());
  auto space = AddressSpace::create().value();
  MapRequest request;
  request.address = VirtAddr(0x08048000);
  request.bytes = 2 * kPageSize;
  request.protection = kProtRead | kProtWrite;
  request.fixed = true;
  request.object = Ref<Object>(object);
  ASSERT_TRUE(space->map(request).ok());
  machine_run(0, space.get());
  source.failures = 0;
  static const uint8_t kBytes[kPageSize] = {};
  IoBuffer buffer = IoBuffer::user(VirtAddr(0x08048000 + kPageSize / 2), kPageSize);
  auto moved = buffer.put(kBytes, kPageSize);
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(moved.value(), kPageSize / 2);
  EXPECT_EQ(buffer.remaining(), kPageSize / 2);
  EXPECT_EQ(source.failures, 1u);
  auto none = buffer.put(kBytes, kPageSize / 2);
  EXPECT_EQ(none.ok() ? Errno() : none.error(), Errno::kFAULT);
  machine_run(0, nullptr);
  space = nullptr;
  object.drop_all();
}

}  // namespace
}  // namespace faultline::host
