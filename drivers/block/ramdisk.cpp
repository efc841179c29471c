// A disk in memory. Requests are copies, done before submit() returns.
#include "arch/mmu.h"
#include "drivers/block/block_drivers.h"
#include "fs/block_device.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint32_t kMajor = 1, kMinorsPerDisk = 16;
constexpr const char* kNames[] = {"ram0", "ram1", "ram2", "ram3"};
constinit uint32_t disks = 0;

class Ramdisk final : public BlockDevice {
 public:
  Ramdisk(StringView name, DeviceNumber number, PhysAddr start, uint32_t bytes)
      : BlockDevice(name, number, bytes / kSectorSize, false), start_(start) {}

  void submit(BlockRequest& request) override {
    if (request.operation != BlockOperation::kFlush) copy(request);
    request.complete(request, {});
  }

 private:
  static uint8_t* pointer(PhysAddr address) { return direct_map_bytes(address.frame()) + (address.value() & kPageMask); }

  void copy(const BlockRequest& request) {
    // The module's frames are neighbours, and so are their places in the direct map.
    uint8_t* disk = pointer(start_) + static_cast<uint32_t>(request.sector) * kSectorSize;
    for (uint32_t i = 0; i < request.segment_count; i++) {
      const BlockSegment& segment = request.segments[i];
      if (request.operation == BlockOperation::kWrite)
        memcpy(disk, pointer(segment.address), segment.bytes);
      else
        memcpy(pointer(segment.address), disk, segment.bytes);
      disk += segment.bytes;
    }
  }

  const PhysAddr start_;
};

}  // namespace

void ramdisk_register(PhysAddr start, uint32_t bytes) {
  if (disks == sizeof kNames / sizeof *kNames || bytes < kSectorSize) return;
  DeviceNumber number{kMajor, disks * kMinorsPerDisk};
  Result<Ramdisk*> disk = slab_new<Ramdisk>(kNames[disks], number, start, bytes);
  if (!disk.ok() || !block_device_register(*disk.value()).ok()) log(LogLevel::kError, "{}: no memory to register it", kNames[disks]);
  disks++;
}

}  // namespace faultline
