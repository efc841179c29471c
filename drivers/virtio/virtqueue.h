// A split virtqueue behind the legacy (transitional) PCI interface, which every QEMU machine offers without being asked. Source: Virtual
// I/O Device (VIRTIO) 1.1, 2.6 (split virtqueues), 4.1.4.8 (legacy registers).
//
// The driver makes chains of descriptors available; the device hands back the heads of those it is through with, in any order. What a
// device says is not believed: a head that is not under way is passed over.
#pragma once

#include <cstdint>

#include "lib/address.h"
#include "lib/atomic.h"
#include "lib/result.h"
#include "mm/slab.h"

namespace faultline {

namespace virtio {

constexpr uint16_t kVendor = 0x1af4;
// Registers, as offsets into the port range; those of one kind of device come from kConfiguration on.
constexpr uint16_t kDeviceFeatures = 0, kDriverFeatures = 4, kQueueFrame = 8, kQueueSize = 12, kQueueSelect = 14, kQueueNotify = 16,
                   kDeviceStatus = 18, kInterruptStatus = 19, kConfiguration = 20;
constexpr uint8_t kAcknowledge = 1, kDriver = 2, kDriverOk = 4, kFailed = 128;  // of kDeviceStatus

}  // namespace virtio

// Invariant: every descriptor is in the free list or in the chain of one head that is under way. The driver's lock guards it all.
class Virtqueue {
 public:
  enum class Access : uint8_t { kDeviceReads, kDeviceWrites };
  struct Used {
    uint16_t head;
    uint32_t bytes;  // that the device says it wrote
  };

  // Finds out the size of queue `index` and gets memory for it. kNODEV: it has no such queue; kNOMEM. Boot only: the memory stays.
  Result<void> create(uint16_t ports, uint16_t index);
  // Forgets what was under way and hands the empty ring to a device that has just been reset.
  void reset();

  uint16_t size() const { return size_; }
  uint16_t free_count() const { return free_count_; }
  bool is_idle() const { return free_count_ == size_; }
  // The head that the next chain will have.
  uint16_t next_head() const { return free_head_; }

  // A chain is made of at most free_count() pieces, in order, and given to the device when it is whole. The device may start on it at
  // once, but looks only when notified.
  void append(PhysAddr address, uint32_t bytes, Access access);
  void make_available();
  void notify();
  // The next chain that the device is through with, whose descriptors are free again. False: none.
  bool take_used(Used& used);
  // Without interrupts the device does not tell of what it is through with; with them it does, but not of what came before: look once more.
  void set_interrupts(bool wanted);
  bool has_used() const { return used_seen_ != used_->index.load(memory_order_seq_cst); }

 private:
  struct Descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
  };
  static_assert(sizeof(Descriptor) == 16);
  static constexpr uint16_t kNext = 1, kDeviceWrites = 2;  // of Descriptor::flags
  struct AvailableRing {
    Atomic<uint16_t> flags;
    Atomic<uint16_t> index;
    uint16_t heads[];
  };
  static constexpr uint16_t kNoInterrupt = 1;  // of AvailableRing::flags
  struct UsedElement {
    uint32_t head, bytes;
  };
  struct UsedRing {
    uint16_t flags;
    Atomic<uint16_t> index;
    UsedElement elements[];
  };
  static_assert(sizeof(UsedRing) == 4 && sizeof(UsedElement) == 8);

  uint32_t used_offset() const;
  uint32_t bytes() const { return used_offset() + 6 + size_ * static_cast<uint32_t>(sizeof(UsedElement)); }
  void free_chain(uint16_t head);

  uint16_t ports_ = 0, index_ = 0;
  uint16_t size_ = 0;
  FrameNumber frame_;
  Descriptor* descriptors_ = nullptr;
  AvailableRing* available_ = nullptr;
  UsedRing* used_ = nullptr;
  uint16_t used_seen_ = 0, free_head_ = 0, free_count_ = 0;
  uint16_t head_ = 0, last_ = 0, pieces_ = 0;  // of the chain that is being made
  Buffer<bool> under_way_;                     // by head
};

// How many pages, as a power of two, `bytes` need: for what a device reads and writes in one piece.
uint32_t virtio_order_for(uint32_t bytes);

}  // namespace faultline
