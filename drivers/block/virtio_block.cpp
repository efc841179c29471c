// virtio disks (drivers/virtio/virtqueue.h). Source: Virtual I/O Device (VIRTIO) 1.1, 5.2 (block device).
//
// A request is a chain of descriptors: header (operation, sector), the data's segments, one status byte. As many chains are in flight as
// the ring holds; more wait in a list and are started by the interrupt that finishes others.
#include <algorithm>

#include "arch/clock.h"
#include "arch/interrupt.h"
#include "arch/mmu.h"
#include "arch/port_io.h"
#include "drivers/block/block_drivers.h"
#include "drivers/virtio/virtqueue.h"
#include "fs/block_device.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/log.h"
#include "mm/frames.h"
#include "mm/slab.h"

namespace faultline {

namespace {

using namespace virtio;

constexpr uint16_t kTransitionalBlock = 0x1001, kSubsystemBlock = 2;

// Registers of its own, as offsets into the port range.
constexpr uint16_t kCapacity = kConfiguration, kSegmentsMax = kConfiguration + 12;
constexpr uint32_t kFeatureSegmentsMax = 1u << 2, kFeatureReadOnly = 1u << 5, kFeatureFlush = 1u << 9;

struct RequestHeader {
  uint32_t type, reserved;
  uint64_t sector;
};
static_assert(sizeof(RequestHeader) == 16);
constexpr uint32_t kTypeRead = 0, kTypeWrite = 1, kTypeFlush = 4;

constexpr uint32_t kMajor = 254, kMinorsPerDisk = 16, kMaxDisks = 8;
constexpr const char* kNames[kMaxDisks] = {"vda", "vdb", "vdc", "vdd", "vde", "vdf", "vdg", "vdh"};
constinit uint32_t disks = 0;
constexpr uint32_t kMostResets = 2;  // in a row, and the device is taken for dead

class VirtioBlock final : public BlockDevice {
 public:
  VirtioBlock(StringView name, DeviceNumber number, uint64_t sectors, uint32_t features, uint16_t ports)
      : BlockDevice(name, number, sectors, features & kFeatureReadOnly), ports_(ports), features_(features) {}

  // Builds the ring and starts the device. kNOMEM, kNODEV, kINVAL.
  Result<void> start(uint32_t interrupt_line);
  void submit(BlockRequest& request) override;
  void stalled() override;

 private:
  static void handle_interrupt(void* context) { static_cast<VirtioBlock*>(context)->interrupted(); }
  void interrupted();
  BlockRequest* take_finished(Result<void>& status);
  void start_device_locked() REQUIRES(lock_);
  bool start_locked(BlockRequest& request) REQUIRES(lock_);
  PhysAddr header_address(uint16_t index) const {
    return PhysAddr::of(headers_frame_) + index * static_cast<uint32_t>(sizeof(RequestHeader));
  }
  PhysAddr status_address(uint16_t index) const {
    return PhysAddr::of(headers_frame_) + size_ * static_cast<uint32_t>(sizeof(RequestHeader)) + index;
  }

  const uint16_t ports_;
  const uint32_t features_;
  uint16_t size_ = 0;  // of the queue
  InterruptSpinLock<LockRank::kDevice> lock_;
  Virtqueue queue_ GUARDED_BY(lock_);
  Buffer<BlockRequest*> in_flight_ GUARDED_BY(lock_);  // by head descriptor
  List<BlockRequest> waiting_ GUARDED_BY(lock_);
  uint64_t owes_since_ GUARDED_BY(lock_) = 0;  // its last answer, or the first request after that
  uint32_t resets_ GUARDED_BY(lock_) = 0;      // without an answer since
  FrameNumber headers_frame_;
  RequestHeader* headers_ = nullptr;  // one for each descriptor, of which only heads use theirs; status bytes behind them
  volatile uint8_t* statuses_ = nullptr;
};

Result<void> VirtioBlock::start(uint32_t interrupt_line) {
  Virtqueue queue;
  TRY(queue.create(ports_, 0));
  size_ = queue.size();
  if (size_ < BlockRequest::kMaxSegments + 2) return Errno::kNODEV;
  headers_frame_ = TRY(frames_allocate(virtio_order_for(size_ * (sizeof(RequestHeader) + 1)), FrameUse::kKernel, Zeroing::kZeroed));
  headers_ = static_cast<RequestHeader*>(direct_map(headers_frame_));
  statuses_ = reinterpret_cast<uint8_t*>(headers_ + size_);
  Buffer<BlockRequest*> requests = TRY(Buffer<BlockRequest*>::create(size_));
  for (uint16_t i = 0; i < size_; i++) requests[i] = nullptr;
  TRY(interrupt_install(interrupt_line, InterruptTrigger::kLevelLow, &handle_interrupt, this));
  InterruptLockGuard guard(lock_);
  queue_ = std::move(queue);
  in_flight_ = std::move(requests);
  start_device_locked();
  return {};
}

// From a device in whatever state to one that serves an empty ring. What it was asked before, it has forgotten.
void VirtioBlock::start_device_locked() {
  port_write8(ports_ + kDeviceStatus, 0);
  port_write8(ports_ + kDeviceStatus, kAcknowledge | kDriver);
  port_write32(ports_ + kDriverFeatures, features_);
  queue_.reset();
  port_write8(ports_ + kDeviceStatus, kAcknowledge | kDriver | kDriverOk);
}

// False if the ring has no room now.
bool VirtioBlock::start_locked(BlockRequest& request) {
  const bool flush = request.operation == BlockOperation::kFlush;
  const uint32_t segments = flush ? 0 : request.segment_count;
  if (queue_.free_count() < segments + 2) return false;
  if (queue_.is_idle()) owes_since_ = clock_monotonic();
  const uint16_t head = queue_.next_head();
  headers_[head] = {flush                                         ? kTypeFlush
                    : request.operation == BlockOperation::kWrite ? kTypeWrite
                                                                  : kTypeRead,
                    0, flush ? 0 : request.sector};
  statuses_[head] = 0xff;
  const auto access = request.operation == BlockOperation::kRead ? Virtqueue::Access::kDeviceWrites : Virtqueue::Access::kDeviceReads;
  queue_.append(header_address(head), sizeof(RequestHeader), Virtqueue::Access::kDeviceReads);
  for (uint32_t i = 0; i < segments; i++) queue_.append(request.segments[i].address, request.segments[i].bytes, access);
  queue_.append(status_address(head), 1, Virtqueue::Access::kDeviceWrites);
  in_flight_[head] = &request;
  queue_.make_available();
  queue_.notify();
  return true;
}

void VirtioBlock::submit(BlockRequest& request) {
  if (request.operation == BlockOperation::kFlush && !(features_ & kFeatureFlush))
    return request.complete(request, {});  // it caches nothing
  {
    InterruptLockGuard guard(lock_);
    if (resets_ < kMostResets) {
      if (!waiting_.is_empty() || !start_locked(request)) waiting_.push_back(request);
      return;
    }
  }
  request.complete(request, Errno::kIO);
}

// The next request that the device is through with, out of the ring; null: none.
BlockRequest* VirtioBlock::take_finished(Result<void>& status) {
  InterruptLockGuard guard(lock_);
  Virtqueue::Used used;
  if (queue_.take_used(used)) {
    BlockRequest* request = std::exchange(in_flight_[used.head], nullptr);
    owes_since_ = clock_monotonic();
    resets_ = 0;
    status = statuses_[used.head] == 0 ? Result<void>() : Errno::kIO;
    return request;
  }
  while (BlockRequest* next = waiting_.front()) {
    waiting_.remove(*next);
    if (start_locked(*next)) continue;
    waiting_.push_front(*next);
    break;
  }
  return nullptr;
}

void VirtioBlock::interrupted() {
  if (!(port_read8(ports_ + kInterruptStatus) & 1)) return;  // reading acknowledges; the line may be shared
  Result<void> status;
  while (BlockRequest* request = take_finished(status)) request->complete(*request, status);
}

// The device is reset, so that it cannot write to memory that has other uses by then, and may do better afterwards; if it does not, it is given up.
void VirtioBlock::stalled() {
  List<BlockRequest> failed;
  uint32_t resets;
  {
    InterruptLockGuard guard(lock_);
    if (queue_.is_idle() || clock_monotonic() - owes_since_ < kPatience) return;  // it works, if slowly
    start_device_locked();
    resets = ++resets_;
    for (uint16_t i = 0; i < size_; i++)
      if (BlockRequest* request = std::exchange(in_flight_[i], nullptr)) failed.push_back(*request);
    while (BlockRequest* request = waiting_.pop_front()) failed.push_back(*request);
  }
  log(LogLevel::kError, "{}: no answer for {} seconds: {}, and what it was asked has failed", name(), kPatience / 1'000'000'000,
      resets < kMostResets ? "reset" : "given up");
  while (BlockRequest* request = failed.pop_front()) request->complete(*request, Errno::kIO);
}

}  // namespace

void virtio_block_probe(const PciDevice& device) {
  const bool ours = device.vendor() == kVendor && device.device() == kTransitionalBlock && device.subsystem() == kSubsystemBlock;
  const uint16_t ports = ours ? device.io_base(0) : 0;
  if (ports == 0 || disks == kMaxDisks) return;
  device.enable();
  port_write8(ports + kDeviceStatus, 0);  // reset
  port_write8(ports + kDeviceStatus, kAcknowledge | kDriver);
  const uint32_t features = port_read32(ports + kDeviceFeatures) & (kFeatureSegmentsMax | kFeatureReadOnly | kFeatureFlush);
  const uint64_t sectors = port_read32(ports + kCapacity) | static_cast<uint64_t>(port_read32(ports + kCapacity + 4)) << 32;
  const char* name = kNames[disks];
  if ((features & kFeatureSegmentsMax) && port_read32(ports + kSegmentsMax) < BlockRequest::kMaxSegments) {
    log(LogLevel::kError, "{}: it takes too few segments for a request", name);
    port_write8(ports + kDeviceStatus, kFailed);
    return;
  }
  Result<VirtioBlock*> disk = slab_new<VirtioBlock>(name, DeviceNumber{kMajor, disks * kMinorsPerDisk}, sectors, features, ports);
  Result<void> started = disk.ok() ? disk.value()->start(device.interrupt_line()) : Result<void>(disk.error());
  if (!started.ok()) {
    // What it allocated stays: it happens at boot, and the device may know the addresses.
    log(LogLevel::kError, "{}: cannot be started: error {}", name, static_cast<int>(started.error()));
    port_write8(ports + kDeviceStatus, kFailed);
    return;
  }
  disks++;
  if (!block_device_register(*disk.value()).ok()) log(LogLevel::kError, "{}: too many disks", name);
}

}  // namespace faultline
