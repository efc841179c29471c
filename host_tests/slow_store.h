// Disks that take their time: while a transfer is under way everybody else goes on, and the bytes move when it is done. What is under way must
// be kept by somebody until then.
#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "mm/object.h"
#include "mm/swap.h"

namespace faultline::host {

using DiskPages = std::map<uint32_t, std::vector<uint8_t>>;

class SlowFile final : public PageSource {
 public:
  Result<void> read_pages(PageIndex first, std::span<const FrameNumber> frames) override;
  Result<void> write_pages(PageIndex first, std::span<const FrameNumber> frames) override;
  Result<void> prepare_write(PageIndex first, uint32_t pages) override;

  std::mutex lock;
  DiskPages pages;  // absent: zeroes
};

class SlowSwap final : public SwapStore {
 public:
  Result<void> read_pages(uint32_t first, std::span<const FrameNumber> frames) override;
  Result<void> write_pages(uint32_t first, std::span<const FrameNumber> frames) override;

  std::mutex lock;
  DiskPages pages;
};

}  // namespace faultline::host
