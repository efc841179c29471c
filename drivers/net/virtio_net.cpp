// virtio network cards (drivers/virtio/virtqueue.h). Source: Virtual I/O Device (VIRTIO) 1.1, 5.1 (network device), in its legacy form.
//
// Every buffer of both rings has its place for good: a slot with the device's header and then the frame, two descriptors. A frame is copied
// out of its slot, or into it, so a program that does not read its sockets holds no part of the ring. The transmit ring has no
// interrupts: what the device is through with is found when the next frame wants its place.
#include <algorithm>

#include "arch/interrupt.h"
#include "arch/mmu.h"
#include "arch/port_io.h"
#include "drivers/net/network_device.h"
#include "drivers/pci.h"
#include "drivers/virtio/virtqueue.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/frames.h"
#include "mm/slab.h"

namespace faultline {

namespace {

using namespace virtio;

constexpr uint16_t kTransitionalNet = 0x1000, kSubsystemNet = 1;
constexpr uint16_t kMac = kConfiguration, kStatus = kConfiguration + 6;  // registers of its own
constexpr uint16_t kLinkUp = 1;                                          // of kStatus
constexpr uint32_t kFeatureMac = 1u << 5, kFeatureStatus = 1u << 16;
constexpr uint16_t kReceiveQueue = 0, kTransmitQueue = 1;

// What stands before each frame: no offload is wanted, so all zeroes, and ignored on receipt.
constexpr uint32_t kHeaderBytes = 10;
constexpr uint32_t kSlotBytes = 2048, kFrameOffset = 16, kFrameRoom = kSlotBytes - kFrameOffset;
static_assert(kFrameRoom >= kMostFrameBytes && kPageSize % kSlotBytes == 0);
constexpr uint16_t kMostSlots = 128, kPerPage = kPageSize / kSlotBytes;

// A queue whose chains are slots of this shape. A chain's first descriptor differs from all others under way, so slots are told apart by
// a table from it.
class SlotQueue {
 public:
  Result<void> create(uint16_t ports, uint16_t index) {
    TRY(queue.create(ports, index));
    slots = std::min<uint16_t>(queue.size() / 2, kMostSlots);
    if (slots == 0) return Errno::kNODEV;
    memory_ = TRY(Buffer<uint8_t*>::create(slots));
    slot_of_ = TRY(Buffer<uint16_t>::create(queue.size()));
    for (uint16_t slot = 0; slot < slots; slot += kPerPage) {
      uint8_t* page = direct_map_bytes(TRY(frame_allocate(FrameUse::kKernel, Zeroing::kZeroed)));
      for (uint16_t i = slot; i < slots && i < slot + kPerPage; i++) memory_[i] = page + (i - slot) * kSlotBytes;
    }
    return {};
  }
  uint8_t* frame(uint16_t slot) const { return memory_[slot] + kFrameOffset; }
  void append(uint16_t slot, uint32_t bytes, Virtqueue::Access access) {
    slot_of_[queue.next_head()] = slot;
    const PhysAddr at = PhysAddr::of(direct_map_frame(memory_[slot])) + slot % kPerPage * kSlotBytes;
    queue.append(at, kHeaderBytes, access);
    queue.append(at + kFrameOffset, bytes, access);
    queue.make_available();
  }
  // The next slot that the device is through with, and the length of the frame that it says is there.
  bool take(uint16_t& slot, uint32_t& bytes) {
    Virtqueue::Used used;
    if (!queue.take_used(used)) return false;
    slot = slot_of_[used.head];
    bytes = used.bytes < kHeaderBytes ? 0 : std::min(used.bytes - kHeaderBytes, kFrameRoom);
    return true;
  }

  Virtqueue queue;
  uint16_t slots = 0;

 private:
  Buffer<uint8_t*> memory_;   // by slot
  Buffer<uint16_t> slot_of_;  // by head
};

class VirtioNet final : public NetworkDevice {
 public:
  VirtioNet(uint16_t ports, uint32_t features) : ports_(ports), features_(features) {}
  // kNOMEM, kNODEV, kINVAL.
  Result<void> start(uint32_t interrupt_line);

  MacAddress address() const override { return address_; }
  bool link_is_up() const override { return !(features_ & kFeatureStatus) || (port_read16(ports_ + kStatus) & kLinkUp); }
  bool transmit(std::span<const std::span<const uint8_t>> pieces) override;
  bool receive(FrameReceiver& receiver) override;
  void listen(void (*notify)()) override { notify_.store(notify, memory_order_release); }

 private:
  static void handle_interrupt(void* context) { static_cast<VirtioNet*>(context)->interrupted(); }
  void interrupted();
  void read_address();
  void start_device();

  const uint16_t ports_;
  const uint32_t features_;
  MacAddress address_{};
  Atomic<void (*)()> notify_{nullptr};
  SlotQueue received_, sent_;
  Buffer<uint16_t> free_;  // slots to send from
  uint16_t free_count_ = 0;
};

Result<void> VirtioNet::start(uint32_t interrupt_line) {
  read_address();
  TRY(received_.create(ports_, kReceiveQueue));
  TRY(sent_.create(ports_, kTransmitQueue));
  free_ = TRY(Buffer<uint16_t>::create(sent_.slots));
  for (; free_count_ < sent_.slots; free_count_++) free_[free_count_] = free_count_;
  TRY(interrupt_install(interrupt_line, InterruptTrigger::kLevelLow, &handle_interrupt, this));
  start_device();
  return {};
}

// A card without an address of its own gets one of those that are for local use.
void VirtioNet::read_address() {
  address_ = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
  if (features_ & kFeatureMac)
    for (uint16_t i = 0; i < address_.size(); i++) address_.data()[i] = port_read8(static_cast<uint16_t>(ports_ + kMac + i));
  address_.data()[0] &= 0xfe;  // that of a group would be no station's
}

void VirtioNet::start_device() {
  received_.queue.reset();
  sent_.queue.reset();
  sent_.queue.set_interrupts(false);
  for (uint16_t slot = 0; slot < received_.slots; slot++) received_.append(slot, kFrameRoom, Virtqueue::Access::kDeviceWrites);
  port_write8(ports_ + kDeviceStatus, kAcknowledge | kDriver | kDriverOk);
  received_.queue.notify();
}

bool VirtioNet::transmit(std::span<const std::span<const uint8_t>> pieces) {
  uint16_t slot;
  uint32_t bytes;
  while (sent_.take(slot, bytes)) free_[free_count_++] = slot;
  if (free_count_ == 0) return false;
  slot = free_[--free_count_];
  bytes = 0;
  for (std::span<const uint8_t> piece : pieces) {
    if (piece.size() > kFrameRoom - bytes) {  // no card could send it
      free_count_++;
      return false;
    }
    memcpy(sent_.frame(slot) + bytes, piece.data(), piece.size());
    bytes += static_cast<uint32_t>(piece.size());
  }
  sent_.append(slot, bytes, Virtqueue::Access::kDeviceReads);
  sent_.queue.notify();
  return true;
}

// Interrupts stay off while there are frames, and on afterwards; one that arrived in between is seen by looking once more.
bool VirtioNet::receive(FrameReceiver& receiver) {
  received_.queue.set_interrupts(false);
  uint16_t slot, taken = 0;
  uint32_t bytes;
  for (; taken < received_.slots && received_.take(slot, bytes); taken++) {
    receiver.take({received_.frame(slot), bytes});
    received_.append(slot, kFrameRoom, Virtqueue::Access::kDeviceWrites);
  }
  if (taken != 0) received_.queue.notify();
  if (taken == received_.slots) return true;
  received_.queue.set_interrupts(true);
  return received_.queue.has_used();
}

void VirtioNet::interrupted() {
  if (port_read8(ports_ + kInterruptStatus) == 0) return;  // reading acknowledges; the line may be shared
  if (auto notify = notify_.load(memory_order_acquire)) notify();
}

NetworkDevice* start_device(const PciDevice& device, uint16_t ports) {
  device.enable();
  port_write8(ports + kDeviceStatus, 0);  // reset
  port_write8(ports + kDeviceStatus, kAcknowledge | kDriver);
  const uint32_t features = port_read32(ports + kDeviceFeatures) & (kFeatureMac | kFeatureStatus);
  port_write32(ports + kDriverFeatures, features);
  Result<VirtioNet*> card = slab_new<VirtioNet>(ports, features);
  Result<void> started = card.ok() ? card.value()->start(device.interrupt_line()) : Result<void>(card.error());
  if (started.ok()) return card.value();
  // What it allocated stays: it happens at boot, and the device may know the addresses.
  log(LogLevel::kError, "the network card cannot be started: error {}", static_cast<int>(started.error()));
  port_write8(ports + kDeviceStatus, kFailed);
  return nullptr;
}

}  // namespace

NetworkDevice* virtio_net_find() {
  NetworkDevice* found = nullptr;
  pci_for_each(
      [](const PciDevice& device, void* context) {
        NetworkDevice*& first = *static_cast<NetworkDevice**>(context);
        const bool ours = device.vendor() == kVendor && device.device() == kTransitionalNet && device.subsystem() == kSubsystemNet;
        const uint16_t ports = ours ? device.io_base(0) : 0;
        if (ports != 0 && !first) first = start_device(device, ports);
      },
      &found);
  return found;
}

}  // namespace faultline
