// One IDE channel: two drives that share registers, one command at a time. Source: ATA/ATAPI-6 (T13/1410D), and Intel's PIIX3 data
// sheet for bus-master DMA.
#pragma once

#include <cstdint>
#include <span>

#include "fs/block_device.h"
#include "lib/atomic.h"
#include "lib/mutex.h"
#include "lib/wait_queue.h"

namespace faultline {

// What IDENTIFY DEVICE tells that we use.
struct IdeIdentity {
  uint64_t sectors = 0;
  bool has_lba48 = false, has_dma = false;
};

class IdeChannel {
 public:
  // `commands` and `control` are the register blocks; `bus_master` is 0 without DMA.
  IdeChannel(uint16_t commands, uint16_t control, uint16_t bus_master) : commands_(commands), control_(control), bus_master_(bus_master) {}

  // Asks drive `unit` (0 or 1) who it is, polling. kNODEV: nothing there, or not a disk with block addresses.
  Result<IdeIdentity> identify(uint32_t unit);
  // Makes the channel interrupt. kNOMEM, kINVAL.
  Result<void> start(uint32_t interrupt_line, bool is_shared);

  struct Command {
    uint32_t unit;
    bool lba48;
    BlockOperation operation;
    uint64_t sector;
    std::span<const BlockSegment> segments;
    uint32_t sectors;  // at most 256
  };
  // Both sleep until the drive is done; one caller at a time. kIO: an error or no answer (the channel is reset).
  Result<void> run_dma(const Command& command);
  Result<void> run_pio(const Command& command);
  bool is_started() const { return started_; }
  bool can_dma() const { return bus_master_ != 0 && table_ != nullptr; }

 private:
  struct RegionDescriptor {  // of the bus master: a piece of memory that crosses no 64 KiB border
    uint32_t address;
    uint16_t bytes, flags;
  };
  static void handle_interrupt(void* context) { static_cast<IdeChannel*>(context)->interrupted(); }
  void interrupted();
  void expect_interrupt() { interrupted_.store(false, memory_order_seq_cst); }
  Result<uint8_t> wait_interrupt();
  Result<uint8_t> poll_not_busy(uint64_t nanoseconds);
  void select(uint32_t unit, uint8_t low_bits);
  Result<void> issue(const Command& command, bool dma);
  void reset();

  const uint16_t commands_, control_, bus_master_;
  bool started_ = false;  // boot only
  Mutex<LockRank::kDriver> lock_;
  WaitQueue done_;
  Atomic<bool> interrupted_{false};
  Atomic<uint8_t> status_{0};  // the drive's, as the interrupt found it
  RegionDescriptor* table_ = nullptr;
  FrameNumber table_frame_;
};

}  // namespace faultline
