// See slow_store.h.
#include "slow_store.h"

#include <cstring>

#include "host_tests/support/emulated_machine.h"
#include "host_tests/support/executor.h"

namespace faultline::host {
namespace {

void check_kept(std::span<const FrameNumber> frames) {
  for (FrameNumber number : frames) {
    const Frame& frame = frame_record(number);
    if (!frame.is_counted() || frame.pins.load(memory_order_relaxed) == 0) PANIC("a device moves bytes of a frame that nobody keeps");
  }
}

void wait_for_device(std::span<const FrameNumber> frames) {
  check_kept(frames);
  if (executor) executor->transfer();
  check_kept(frames);
}

std::vector<uint8_t> bytes_of(FrameNumber frame) {
  std::vector<uint8_t> bytes(kPageSize);
  move_bytes(bytes.data(), direct_map_bytes(frame), kPageSize);
  return bytes;
}

}  // namespace

Result<void> SlowFile::read_pages(PageIndex first, std::span<const FrameNumber> frames) {
  wait_for_device(frames);
  std::lock_guard guard(lock);
  for (uint32_t i = 0; i < frames.size(); i++) {
    auto found = pages.find(first.value() + i);
    if (found == pages.end())
      page_zero(frames[i]);
    else
      move_bytes(direct_map_bytes(frames[i]), found->second.data(), kPageSize);
  }
  return {};
}

Result<void> SlowFile::write_pages(PageIndex first, std::span<const FrameNumber> frames) {
  wait_for_device(frames);
  std::lock_guard guard(lock);
  for (uint32_t i = 0; i < frames.size(); i++) pages[first.value() + i] = bytes_of(frames[i]);
  return {};
}

Result<void> SlowFile::prepare_write(PageIndex, uint32_t) {
  if (executor) executor->transfer();
  return {};
}

Result<void> SlowSwap::read_pages(uint32_t first, std::span<const FrameNumber> frames) {
  wait_for_device(frames);
  std::lock_guard guard(lock);
  for (uint32_t i = 0; i < frames.size(); i++) {
    auto found = pages.find(first + i);
    if (found == pages.end()) PANIC("a page is read from swap that was never written");
    move_bytes(direct_map_bytes(frames[i]), found->second.data(), kPageSize);
  }
  return {};
}

Result<void> SlowSwap::write_pages(uint32_t first, std::span<const FrameNumber> frames) {
  std::vector<std::vector<uint8_t>> taken;
  for (FrameNumber frame : frames) taken.push_back(bytes_of(frame));
  wait_for_device(frames);
  for (uint32_t i = 0; i < frames.size(); i++)
    if (bytes_of(frames[i]) != taken[i]) PANIC("a page changes while it is written to swap");
  std::lock_guard guard(lock);
  for (uint32_t i = 0; i < frames.size(); i++) pages[first + i] = std::move(taken[i]);
  return {};
}

}  // namespace faultline::host
