// Block devices: the cache of the raw device and the synchronous forms. Registration is in block_registry.cpp.
#include "fs/block_device.h"

#include "arch/mmu.h"
#include "fs/block_batch.h"

namespace faultline {

namespace {
constexpr uint32_t kSectorsPerPage = kPageSize / kSectorSize;
}

BlockDevice::BlockDevice(StringView name, DeviceNumber number, uint64_t sectors, bool read_only)
    : name_(name), number_(number), sectors_(sectors), read_only_(read_only), object_(*this, sectors * kSectorSize) {}

Result<void> BlockDevice::transfer(BlockOperation operation, uint64_t first, std::span<const BlockSegment> segments) {
  BlockBatch batch(*this, operation);
  for (const BlockSegment& segment : segments) {
    batch.add(first, segment.address, segment.bytes);
    first += segment.bytes / kSectorSize;
  }
  return batch.finish();
}

Result<void> BlockDevice::flush() {
  BlockBatch batch(*this, BlockOperation::kFlush);
  batch.add_flush();
  return batch.finish();
}

// The bytes of page `index` that the device has.
static uint32_t bytes_in_page(const BlockDevice& device, PageIndex index) {
  uint64_t first = static_cast<uint64_t>(index.value()) * kSectorsPerPage;
  if (first >= device.sectors()) return 0;
  uint64_t sectors = device.sectors() - first;
  return sectors >= kSectorsPerPage ? kPageSize : static_cast<uint32_t>(sectors) * kSectorSize;
}

Result<void> BlockDevice::read_pages(PageIndex first, std::span<const FrameNumber> frames) {
  BlockBatch batch(*this, BlockOperation::kRead);
  for (uint32_t i = 0; i < frames.size(); i++) {
    PageIndex index = first + i;
    uint32_t bytes = bytes_in_page(*this, index);
    if (bytes != 0) batch.add(index.byte() / kSectorSize, PhysAddr::of(frames[i]), bytes);
    memset(direct_map_bytes(frames[i]) + bytes, 0, kPageSize - bytes);
  }
  return batch.finish();
}

Result<void> BlockDevice::write_pages(PageIndex first, std::span<const FrameNumber> frames) {
  BlockBatch batch(*this, BlockOperation::kWrite);
  for (uint32_t i = 0; i < frames.size(); i++) {
    PageIndex index = first + i;
    uint32_t bytes = bytes_in_page(*this, index);
    if (bytes != 0) batch.add(index.byte() / kSectorSize, PhysAddr::of(frames[i]), bytes);
  }
  return batch.finish();
}

Result<void> BlockDevice::prepare_write(PageIndex first, uint32_t pages) {
  if (read_only_) return Errno::kROFS;
  if (pages != 0 && bytes_in_page(*this, first + (pages - 1)) == 0) return Errno::kNOSPC;
  return {};
}

}  // namespace faultline
