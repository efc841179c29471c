// A disk as the file systems see it, and the interface that block drivers implement. Transfers are asynchronous: a request completes through
// its callback, perhaps in an interrupt; the synchronous helpers wait for it.
#pragma once

#include <cstdint>
#include <span>

#include "fs/inode.h"
#include "lib/list.h"
#include "lib/result.h"

namespace faultline {

inline constexpr uint32_t kSectorSize = 512;

// A piece of physical memory of a transfer: within one frame.
struct BlockSegment {
  PhysAddr address;
  uint32_t bytes;  // a multiple of kSectorSize
};

enum class BlockOperation : uint8_t { kRead, kWrite, kFlush };

struct BlockRequest : ListNode<> {
  static constexpr uint32_t kMaxSegments = 32;
  BlockOperation operation = BlockOperation::kRead;
  uint64_t sector = 0;
  uint32_t segment_count = 0;
  BlockSegment segments[kMaxSegments];
  // Called once, any context, must not sleep; the request belongs to its maker again. `status` is kIO on failure.
  void (*complete)(BlockRequest& request, Result<void> status) = nullptr;
  void* context = nullptr;

  uint32_t sectors() const {
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < segment_count; i++) bytes += segments[i].bytes;
    return bytes / kSectorSize;
  }
};

extern Atomic<uint32_t> block_fault_rules;  // how many there are: fs/block_faults.h

class BlockDevice : public PageSource {
 public:
  // `name` without /dev/: "vda", "hda1", "ram0"; it must live for ever. Registers nothing.
  BlockDevice(StringView name, DeviceNumber number, uint64_t sectors, bool read_only);

  StringView name() const { return name_; }
  DeviceNumber number() const { return number_; }
  uint64_t sectors() const { return sectors_; }
  bool is_read_only() const { return read_only_; }

  // Queues the request; may sleep for a free slot; the device may reorder requests but a flush covers all writes completed before it.
  virtual void submit(BlockRequest& request) = 0;
  // Somebody has waited kPatience for a request. A driver that has not heard of its device for so long ends all requests with kIO, and makes
  // sure that the device does not touch their memory any more. May sleep.
  static constexpr uint64_t kPatience = 30'000'000'000;  // nanoseconds
  virtual void stalled() {}
  // The same for everybody but drivers: counted, and failed or delayed if somebody asked for that.
  void send(BlockRequest& request) {
    count(request);
    if (block_fault_rules.load(memory_order_relaxed) != 0) [[unlikely]]
      if (is_struck(request)) return;
    submit(request);
  }

  // Synchronous forms: sleep until done. kIO; kROFS; kINVAL past the end. `first` counts sectors.
  Result<void> transfer(BlockOperation operation, uint64_t first, std::span<const BlockSegment> segments);
  Result<void> flush();

  // For one file system, or swap, at a time: false if another has it.
  bool claim() { return !claimed_.exchange(true, memory_order_acquire); }
  void unclaim() { claimed_.store(false, memory_order_release); }

  // What the device was asked to do since boot (/proc/diskstats).
  struct Counters {
    Atomic<uint32_t> requests{0}, sectors{0};
  };
  const Counters& counters(BlockOperation operation) const { return counters_[static_cast<size_t>(operation)]; }

  // The cache of the raw device: metadata of file systems and reads of /dev/vda share these pages.
  Object& object() { return object_; }

  // PageSource, for the raw device's cache.
  Result<void> read_pages(PageIndex first, std::span<const FrameNumber> frames) override;
  Result<void> write_pages(PageIndex first, std::span<const FrameNumber> frames) override;
  Result<void> prepare_write(PageIndex first, uint32_t pages) override;

 protected:
  virtual ~BlockDevice() = default;

 private:
  // Devices live for ever: references to their cache cost nothing.
  class DeviceObject final : public Object {
   public:
    using Object::Object;
    void acquire() override {}
    void release() override {}
  };
  void count(const BlockRequest& request) {
    Counters& counters = counters_[static_cast<size_t>(request.operation)];
    counters.requests.fetch_add(1, memory_order_relaxed);
    counters.sectors.fetch_add(request.sectors(), memory_order_relaxed);
  }
  bool is_struck(BlockRequest& request);  // true: it is complete, with an error (fs/block_faults.cpp)
  StringView name_;
  DeviceNumber number_;
  uint64_t sectors_;
  bool read_only_;
  Counters counters_[3];  // by operation
  Atomic<bool> claimed_{false};
  DeviceObject object_;
};

// Makes a device (and its partitions, if it has an MBR) known: /dev gets nodes, mount and root= find it. kNOMEM.
Result<void> block_device_register(BlockDevice& device);
BlockDevice* block_device_find(StringView name);
BlockDevice* block_device_find(DeviceNumber number);
BlockDevice* block_device_at(uint32_t index);  // in order of registration; null past the last

// A device claimed for as long as this lives, or for good.
class DeviceClaim {
 public:
  explicit DeviceClaim(BlockDevice& device) : device_(device), is_ours_(device.claim()), is_granted_(is_ours_) {}
  ~DeviceClaim() {
    if (is_ours_) device_.unclaim();
  }
  DeviceClaim(const DeviceClaim&) = delete;
  DeviceClaim& operator=(const DeviceClaim&) = delete;
  bool is_granted() const { return is_granted_; }
  void keep() { is_ours_ = false; }  // whoever has it from now on calls unclaim()

 private:
  BlockDevice& device_;
  bool is_ours_;
  const bool is_granted_;
};

}  // namespace faultline
