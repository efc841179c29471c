// virtio disks through the legacy (transitional) PCI interface, which every QEMU machine offers without being asked. Source: Virtual I/O
// Device (VIRTIO) 1.1, 2.6 (split virtqueues), 4.1.4.8 (legacy registers), 5.2 (block device).
//
// A request is a chain of descriptors: header (operation, sector), the data's segments, one status byte. As many chains are in flight as
// the ring holds; more wait in a list and are started by the interrupt that finishes others.
#include <algorithm>
#include <bit>

#include "arch/clock.h"
#include "arch/interrupt.h"
#include "arch/mmu.h"
#include "arch/port_io.h"
#include "drivers/block/block_drivers.h"
#include "fs/block_device.h"
#include "lib/atomic.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/frames.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint16_t kVendor = 0x1af4, kTransitionalBlock = 0x1001, kSubsystemBlock = 2;

// Registers, as offsets into the port range.
constexpr uint16_t kDeviceFeatures = 0, kDriverFeatures = 4, kQueueFrame = 8, kQueueSize = 12, kQueueSelect = 14, kQueueNotify = 16,
                   kDeviceStatus = 18, kInterruptStatus = 19, kCapacity = 20, kSegmentsMax = 32;
constexpr uint8_t kAcknowledge = 1, kDriver = 2, kDriverOk = 4, kFailed = 128;
constexpr uint32_t kFeatureSegmentsMax = 1u << 2, kFeatureReadOnly = 1u << 5, kFeatureFlush = 1u << 9;

struct Descriptor {
  uint64_t address;
  uint32_t bytes;
  uint16_t flags, next;
};
static_assert(sizeof(Descriptor) == 16);
constexpr uint16_t kNext = 1, kDeviceWrites = 2;

struct AvailableRing {
  uint16_t flags;
  Atomic<uint16_t> index;
  uint16_t heads[];
};
struct UsedElement {
  uint32_t head, bytes;
};
struct UsedRing {
  uint16_t flags;
  Atomic<uint16_t> index;
  UsedElement elements[];
};
static_assert(sizeof(UsedRing) == 4 && sizeof(UsedElement) == 8);

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
  uint16_t add_descriptor(uint16_t index, PhysAddr address, uint32_t bytes, uint16_t flags) REQUIRES(lock_);
  void free_chain(uint16_t head) REQUIRES(lock_);
  uint32_t ring_bytes() const { return used_at_ + 6 + size_ * static_cast<uint32_t>(sizeof(UsedElement)); }
  PhysAddr header_address(uint16_t index) const {
    return PhysAddr::of(headers_frame_) + index * static_cast<uint32_t>(sizeof(RequestHeader));
  }
  PhysAddr status_address(uint16_t index) const {
    return PhysAddr::of(headers_frame_) + size_ * static_cast<uint32_t>(sizeof(RequestHeader)) + index;
  }

  const uint16_t ports_;
  const uint32_t features_;
  uint16_t size_ = 0;          // of the ring
  uint32_t available_at_ = 0;  // offsets in it
  uint32_t used_at_ = 0;
  FrameNumber ring_frame_;
  InterruptSpinLock<LockRank::kDevice> lock_;
  Descriptor* descriptors_ GUARDED_BY(lock_) = nullptr;
  AvailableRing* available_ GUARDED_BY(lock_) = nullptr;
  UsedRing* used_ GUARDED_BY(lock_) = nullptr;
  uint16_t used_seen_ GUARDED_BY(lock_) = 0;
  uint16_t free_head_ GUARDED_BY(lock_) = 0, free_count_ GUARDED_BY(lock_) = 0;
  Buffer<BlockRequest*> in_flight_ GUARDED_BY(lock_);  // by head descriptor
  List<BlockRequest> waiting_ GUARDED_BY(lock_);
  uint64_t owes_since_ GUARDED_BY(lock_) = 0;  // its last answer, or the first request after that
  uint32_t resets_ GUARDED_BY(lock_) = 0;      // without an answer since
  FrameNumber headers_frame_;
  RequestHeader* headers_ = nullptr;  // one for each descriptor, of which only heads use theirs; status bytes behind them
  volatile uint8_t* statuses_ = nullptr;
};

uint32_t order_for(uint32_t bytes) { return static_cast<uint32_t>(std::bit_width(pages_for(bytes) - 1)); }

Result<void> VirtioBlock::start(uint32_t interrupt_line) {
  port_write16(ports_ + kQueueSelect, 0);
  size_ = port_read16(ports_ + kQueueSize);
  if (size_ < BlockRequest::kMaxSegments + 2 || !std::has_single_bit(size_)) return Errno::kNODEV;
  available_at_ = size_ * sizeof(Descriptor);
  used_at_ = align_up<uint32_t>(available_at_ + 6 + 2 * size_, kPageSize);
  ring_frame_ = TRY(frames_allocate(order_for(ring_bytes()), FrameUse::kKernel, Zeroing::kNotNeeded));
  headers_frame_ = TRY(frames_allocate(order_for(size_ * (sizeof(RequestHeader) + 1)), FrameUse::kKernel, Zeroing::kZeroed));
  headers_ = static_cast<RequestHeader*>(direct_map(headers_frame_));
  statuses_ = reinterpret_cast<uint8_t*>(headers_ + size_);
  Buffer<BlockRequest*> requests = TRY(Buffer<BlockRequest*>::create(size_));
  for (uint16_t i = 0; i < size_; i++) requests[i] = nullptr;
  TRY(interrupt_install(interrupt_line, InterruptTrigger::kLevelLow, &handle_interrupt, this));
  InterruptLockGuard guard(lock_);
  in_flight_ = std::move(requests);
  start_device_locked();
  return {};
}

// From a device in whatever state to one that serves an empty ring. What it was asked before, it has forgotten.
void VirtioBlock::start_device_locked() {
  port_write8(ports_ + kDeviceStatus, 0);
  port_write8(ports_ + kDeviceStatus, kAcknowledge | kDriver);
  port_write32(ports_ + kDriverFeatures, features_);
  uint8_t* base = direct_map_bytes(ring_frame_);
  memset(base, 0, ring_bytes());
  descriptors_ = reinterpret_cast<Descriptor*>(base);
  available_ = reinterpret_cast<AvailableRing*>(base + available_at_);
  used_ = reinterpret_cast<UsedRing*>(base + used_at_);
  used_seen_ = free_head_ = 0;
  free_count_ = size_;
  for (uint16_t i = 0; i < size_; i++) descriptors_[i].next = static_cast<uint16_t>(i + 1);
  port_write16(ports_ + kQueueSelect, 0);
  port_write32(ports_ + kQueueFrame, ring_frame_.value());
  port_write8(ports_ + kDeviceStatus, kAcknowledge | kDriver | kDriverOk);
}

// Fills a free descriptor and returns the next free one, to which the chain goes on if `flags` say so.
uint16_t VirtioBlock::add_descriptor(uint16_t index, PhysAddr address, uint32_t bytes, uint16_t flags) {
  Descriptor& descriptor = descriptors_[index];
  descriptor.address = address.value();
  descriptor.bytes = bytes;
  descriptor.flags = flags;
  return descriptor.next;
}

// False if the ring has no room now.
bool VirtioBlock::start_locked(BlockRequest& request) {
  const bool flush = request.operation == BlockOperation::kFlush;
  const uint32_t needed = 2 + (flush ? 0 : request.segment_count);
  if (free_count_ < needed) return false;
  if (free_count_ == size_) owes_since_ = clock_monotonic();
  const uint16_t head = free_head_;
  headers_[head] = {flush                                         ? kTypeFlush
                    : request.operation == BlockOperation::kWrite ? kTypeWrite
                                                                  : kTypeRead,
                    0, flush ? 0 : request.sector};
  statuses_[head] = 0xff;
  uint16_t next = add_descriptor(head, header_address(head), sizeof(RequestHeader), kNext);
  const uint16_t data_flags = kNext | (request.operation == BlockOperation::kRead ? kDeviceWrites : 0);
  for (uint32_t i = 0; !flush && i < request.segment_count; i++)
    next = add_descriptor(next, request.segments[i].address, request.segments[i].bytes, data_flags);
  free_head_ = add_descriptor(next, status_address(head), 1, kDeviceWrites);
  free_count_ = static_cast<uint16_t>(free_count_ - needed);
  in_flight_[head] = &request;
  const uint16_t index = available_->index.load(memory_order_relaxed);
  available_->heads[index % size_] = head;
  available_->index.store(static_cast<uint16_t>(index + 1), memory_order_seq_cst);  // after all it stands for
  port_write16(ports_ + kQueueNotify, 0);
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

void VirtioBlock::free_chain(uint16_t head) {
  uint16_t last = head;
  uint16_t count = 1;
  for (; descriptors_[last].flags & kNext; count++) last = descriptors_[last].next;
  descriptors_[last].next = free_head_;
  free_head_ = head;
  free_count_ = static_cast<uint16_t>(free_count_ + count);
}

// The next request that the device is through with, out of the ring; null: none.
BlockRequest* VirtioBlock::take_finished(Result<void>& status) {
  InterruptLockGuard guard(lock_);
  while (used_seen_ != used_->index.load(memory_order_acquire)) {
    uint32_t head = used_->elements[used_seen_ % size_].head;
    used_seen_++;
    if (head >= size_ || !in_flight_[head]) continue;  // a device gone mad
    BlockRequest* request = in_flight_[head];
    in_flight_[head] = nullptr;
    owes_since_ = clock_monotonic();
    resets_ = 0;
    status = statuses_[head] == 0 ? Result<void>() : Errno::kIO;
    free_chain(static_cast<uint16_t>(head));
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
    if (free_count_ == size_ || clock_monotonic() - owes_since_ < kPatience) return;  // it works, if slowly
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
