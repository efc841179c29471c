// The walk that `pagetable` draws: on the toy machine of row A1, and through real tables of the emulated machine.
#include <gtest/gtest.h>

#include "host_tests/support/emulated_machine.h"
#include "mm/space.h"
#include "user/include/faultline/page_walk.h"

namespace faultline {
namespace {

TEST(PageWalk, TheToyMachineOfTheLectures) {
  constexpr int kFrames[4] = {2, 7, -1, 0};
  for (uint32_t address = 0; address < 1024; address++) {
    auto result = walk<ToyPaging>(address, toy_entry);
    int frame = kFrames[address >> 8];
    ASSERT_EQ(result.is_mapped, frame >= 0) << address;
    if (frame >= 0) {
      ASSERT_EQ(result.physical, static_cast<uint32_t>(frame) << 8 | (address & 255)) << address;
    }
  }
}

TEST(PageWalk, FindsWhatTheProcessorFinds) {
  host::machine_start({});
  auto space = AddressSpace::create().value();
  host::machine_run(0, space.get());
  MapRequest request;
  request.address = VirtAddr(0x08048000);
  request.bytes = 2 * kPageSize;
  request.protection = kProtRead | kProtWrite;
  request.fixed = true;
  ASSERT_TRUE(space->map(request).ok());
  uint32_t value = 0x1234abcd;
  ASSERT_EQ(host::machine_write(VirtAddr(0x08048120), &value, sizeof value), FaultOutcome::kResolved);
  auto read = [&](unsigned level, uint32_t table, uint32_t index) {
    FrameNumber frame = level == 0 ? mmu_active_directory() : FrameNumber(table);
    return pte_load(table_slots(frame)[index]).raw();
  };
  auto found = walk<I386Paging>(0x08048120, read);
  ASSERT_TRUE(found.is_mapped);
  EXPECT_EQ(found.steps[0].index, 0x20u);
  EXPECT_EQ(found.steps[1].index, 0x48u);
  EXPECT_EQ(found.offset, 0x120u);
  uint32_t there;
  memcpy(&there, direct_map_bytes(FrameNumber(found.physical >> kPageShift)) + found.offset, sizeof there);
  EXPECT_EQ(there, value);
  EXPECT_FALSE(walk<I386Paging>(0x08049000, read).is_mapped);  // mapped, not touched
  EXPECT_EQ(walk<I386Paging>(0x40000000, read).count, 1u);     // not even a table
  host::machine_run(0, nullptr);
}

}  // namespace
}  // namespace faultline
