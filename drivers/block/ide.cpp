// IDE disks: by DMA where the controller is a bus master, else by programmed I/O. submit() does the work in the caller's thread.
#include "drivers/block/block_drivers.h"
#include "drivers/block/ide_channel.h"
#include "fs/block_device.h"
#include "lib/log.h"
#include "mm/slab.h"

namespace faultline {

namespace {

struct ChannelPlace {
  uint16_t commands, control;
  uint32_t interrupt_line, major;
  const char* names[2];
};
constexpr ChannelPlace kChannels[2] = {{0x1f0, 0x3f6, 14, 3, {"hda", "hdb"}}, {0x170, 0x376, 15, 22, {"hdc", "hdd"}}};
constexpr uint32_t kMinorsPerDisk = 64;
constexpr uint16_t kBusMasterBytes = 8;  // per channel

class IdeDisk final : public BlockDevice {
 public:
  IdeDisk(StringView name, DeviceNumber number, IdeChannel& channel, uint32_t unit, const IdeIdentity& identity)
      : BlockDevice(name, number, identity.sectors, false), channel_(channel), unit_(unit), lba48_(identity.has_lba48),
        use_dma_(identity.has_dma && channel.can_dma()) {}

  void submit(BlockRequest& request) override { request.complete(request, run(request)); }

 private:
  static_assert(BlockRequest::kMaxSegments * kPageSize / kSectorSize <= 256);

  Result<void> run(const BlockRequest& request) {
    if (request.operation == BlockOperation::kFlush) return channel_.run_pio({unit_, lba48_, request.operation, 0, {}, 0});
    IdeChannel::Command command{unit_,
                                lba48_,
                                request.operation,
                                request.sector,
                                std::span<const BlockSegment>(request.segments, request.segment_count),
                                request.sectors()};
    if (use_dma_.load(memory_order_relaxed)) {
      if (channel_.run_dma(command).ok()) return {};
      // Some emulators and old controllers promise DMA that does not work; a bad sector will show itself again.
      if (use_dma_.exchange(false, memory_order_relaxed)) log(LogLevel::kWarning, "{}: DMA failed, using programmed I/O", name());
    }
    return channel_.run_pio(command);
  }

  IdeChannel& channel_;
  const uint32_t unit_;
  const bool lba48_;
  Atomic<bool> use_dma_;
};

Result<void> probe_channel(const ChannelPlace& place, uint16_t bus_master, bool is_shared) {
  IdeChannel* channel = nullptr;
  for (uint32_t unit = 0; unit < 2; unit++) {
    if (!channel) channel = TRY(slab_new<IdeChannel>(place.commands, place.control, bus_master));
    Result<IdeIdentity> identity = channel->identify(unit);
    if (!identity.ok()) continue;
    if (!channel->is_started()) TRY(channel->start(place.interrupt_line, is_shared));
    DeviceNumber number{place.major, unit * kMinorsPerDisk};
    IdeDisk* disk = TRY(slab_new<IdeDisk>(place.names[unit], number, *channel, unit, identity.value()));
    TRY(block_device_register(*disk));
  }
  if (!channel->is_started()) slab_delete(channel);
  return {};
}

}  // namespace

void ide_probe(const PciDevice* controller) {
  constexpr uint8_t kNative[2] = {1, 4}, kBusMasterCapable = 0x80;
  static constinit bool probed = false;
  if (probed) return;  // one controller has the ports that PCs have always had
  probed = true;
  const uint8_t interface = controller ? controller->programming_interface() : 0;
  if (controller) controller->enable();
  const uint16_t bus_master = controller && (interface & kBusMasterCapable) ? controller->io_base(4) : 0;
  for (uint32_t i = 0; i < 2; i++) {
    ChannelPlace place = kChannels[i];
    const bool native = interface & kNative[i];
    if (native) {
      place.commands = controller->io_base(2 * i);
      place.control = static_cast<uint16_t>(controller->io_base(2 * i + 1) + 2);
      place.interrupt_line = controller->interrupt_line();
    }
    uint16_t master = bus_master != 0 ? static_cast<uint16_t>(bus_master + i * kBusMasterBytes) : uint16_t{0};
    Result<void> probed_channel = probe_channel(place, master, native);
    if (!probed_channel.ok())
      log(LogLevel::kError, "ide: channel {} cannot be used: error {}", i, static_cast<int>(probed_channel.error()));
  }
}

}  // namespace faultline
