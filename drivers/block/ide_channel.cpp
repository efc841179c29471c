// The register protocol of an IDE channel: see ide_channel.h. Data moves in the caller's thread with interrupts on; the interrupt only
// acknowledges and wakes.
#include "drivers/block/ide_channel.h"

#include "arch/clock.h"
#include "arch/interrupt.h"
#include "arch/mmu.h"
#include "arch/port_io.h"
#include "lib/lock.h"
#include "mm/frames.h"

namespace faultline {

namespace {

// Command block registers.
constexpr uint16_t kData = 0, kCount = 2, kLbaLow = 3, kLbaMiddle = 4, kLbaHigh = 5, kDrive = 6, kStatus = 7, kCommand = 7;
constexpr uint8_t kBusy = 0x80, kFault = 0x20, kDataRequest = 0x08, kError = 0x01;
constexpr uint8_t kUseLba = 0xe0, kSecondDrive = 0x10;
constexpr uint8_t kNoInterrupts = 2, kSoftReset = 4;  // of the control register

constexpr uint8_t kIdentify = 0xec, kFlush = 0xe7, kFlushExt = 0xea;
constexpr uint8_t kReadPio = 0x20, kReadPioExt = 0x24, kWritePio = 0x30, kWritePioExt = 0x34;
constexpr uint8_t kReadDma = 0xc8, kReadDmaExt = 0x25, kWriteDma = 0xca, kWriteDmaExt = 0x35;

// Bus master registers.
constexpr uint16_t kMasterCommand = 0, kMasterStatus = 2, kMasterTable = 4;
constexpr uint8_t kMasterStart = 1, kMasterToMemory = 8, kMasterFailed = 2, kMasterInterrupt = 4;
constexpr uint16_t kEndOfTable = 0x8000;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kCommandTime = 15 * kSecond;
constexpr uint32_t kWordsPerSector = kSectorSize / 2;

uint8_t opcode(BlockOperation operation, bool lba48, bool dma) {
  if (operation == BlockOperation::kFlush) return lba48 ? kFlushExt : kFlush;
  if (operation == BlockOperation::kRead) return dma ? (lba48 ? kReadDmaExt : kReadDma) : (lba48 ? kReadPioExt : kReadPio);
  return dma ? (lba48 ? kWriteDmaExt : kWriteDma) : (lba48 ? kWritePioExt : kWritePio);
}

uint8_t* pointer(PhysAddr address) { return direct_map_bytes(address.frame()) + (address.value() & kPageMask); }

}  // namespace

Result<void> IdeChannel::start(uint32_t interrupt_line, bool is_shared) {
  TRY(interrupt_install(interrupt_line, is_shared ? InterruptTrigger::kLevelLow : InterruptTrigger::kEdgeHigh, &handle_interrupt, this));
  if (bus_master_ != 0) {
    table_frame_ = TRY(frame_allocate(FrameUse::kKernel, Zeroing::kZeroed));
    table_ = static_cast<RegionDescriptor*>(direct_map(table_frame_));
  }
  port_write8(control_, 0);
  started_ = true;
  return {};
}

void IdeChannel::interrupted() {
  if (bus_master_ != 0) {
    uint8_t master = port_read8(bus_master_ + kMasterStatus);
    if (!(master & kMasterInterrupt)) return;  // another device's, on a shared line
    port_write8(bus_master_ + kMasterStatus, kMasterInterrupt);
  }
  status_.store(port_read8(commands_ + kStatus), memory_order_relaxed);  // reading acknowledges
  interrupted_.store(true, memory_order_seq_cst);
  done_.wake_all();
}

Result<uint8_t> IdeChannel::wait_interrupt() {
  Deadline deadline{clock_monotonic() + kCommandTime};
  Result<void> waited = wait_until(
      done_, [this] { return interrupted_.load(memory_order_seq_cst); }, SleepKind::kUninterruptible, deadline);
  if (!waited.ok()) return Errno::kIO;
  return status_.load(memory_order_relaxed);
}

Result<uint8_t> IdeChannel::poll_not_busy(uint64_t nanoseconds) {
  const uint64_t end = clock_monotonic() + nanoseconds;
  for (;;) {
    uint8_t status = port_read8(control_);  // the alternate status: reading it acknowledges nothing
    if (!(status & kBusy)) return status;
    if (clock_monotonic() > end) return Errno::kIO;
    machine::relax();
  }
}

void IdeChannel::select(uint32_t unit, uint8_t low_bits) {
  port_write8(commands_ + kDrive, static_cast<uint8_t>(kUseLba | (unit ? kSecondDrive : 0) | low_bits));
  for (int i = 0; i < 4; i++) port_read8(control_);  // 400 ns, until the status is the new drive's
}

void IdeChannel::reset() {
  port_write8(control_, kSoftReset);
  for (int i = 0; i < 50; i++) port_read8(control_);
  port_write8(control_, 0);
  ignore_result(poll_not_busy(5 * kSecond));  // still busy: the next command will say so
}

Result<IdeIdentity> IdeChannel::identify(uint32_t unit) {
  LockGuard guard(lock_);
  if (port_read8(control_) == 0xff) return Errno::kNODEV;  // nobody drives the bus
  port_write8(control_, kNoInterrupts);                    // until start(), or its end if it is the second drive's turn
  struct InterruptsAgain {
    IdeChannel& channel;
    ~InterruptsAgain() {
      if (channel.started_) port_write8(channel.control_, 0);
    }
  } again{*this};
  select(unit, 0);
  for (uint16_t reg : {kCount, kLbaLow, kLbaMiddle, kLbaHigh}) port_write8(commands_ + reg, 0);
  port_write8(commands_ + kCommand, kIdentify);
  if (port_read8(control_) == 0) return Errno::kNODEV;
  Result<uint8_t> status = poll_not_busy(kSecond);
  bool is_disk = status.ok() && port_read8(commands_ + kLbaMiddle) == 0 && port_read8(commands_ + kLbaHigh) == 0;  // else a CD drive
  if (!is_disk || (status.value() & kError) || !(status.value() & kDataRequest)) return Errno::kNODEV;
  uint16_t words[kWordsPerSector];
  port_read16_many(commands_ + kData, words, kWordsPerSector);
  port_read8(commands_ + kStatus);
  IdeIdentity identity;
  constexpr uint16_t kLba = 1 << 9, kDma = 1 << 8, kLba48 = 1 << 10;
  if (!(words[49] & kLba)) return Errno::kNODEV;
  identity.has_dma = words[49] & kDma;
  identity.has_lba48 = words[83] & kLba48;
  identity.sectors = words[60] | static_cast<uint32_t>(words[61]) << 16;
  if (identity.has_lba48) {
    uint64_t wide = 0;
    for (int i = 3; i >= 0; i--) wide = wide << 16 | words[100 + i];
    if (wide != 0) identity.sectors = wide;
  }
  return identity;
}

Result<void> IdeChannel::issue(const Command& command, bool dma) {
  TRY(poll_not_busy(kCommandTime));
  const uint64_t sector = command.sector;
  const bool wide = command.lba48;
  select(command.unit, wide ? 0 : static_cast<uint8_t>(sector >> 24 & 0xf));
  if (wide) {  // the high halves go first
    port_write8(commands_ + kCount, static_cast<uint8_t>(command.sectors >> 8));
    port_write8(commands_ + kLbaLow, static_cast<uint8_t>(sector >> 24));
    port_write8(commands_ + kLbaMiddle, static_cast<uint8_t>(sector >> 32));
    port_write8(commands_ + kLbaHigh, static_cast<uint8_t>(sector >> 40));
  }
  port_write8(commands_ + kCount, static_cast<uint8_t>(command.sectors));  // 0 means 256
  port_write8(commands_ + kLbaLow, static_cast<uint8_t>(sector));
  port_write8(commands_ + kLbaMiddle, static_cast<uint8_t>(sector >> 8));
  port_write8(commands_ + kLbaHigh, static_cast<uint8_t>(sector >> 16));
  expect_interrupt();
  port_write8(commands_ + kCommand, opcode(command.operation, wide, dma));
  return {};
}

Result<void> IdeChannel::run_dma(const Command& command) {
  LockGuard guard(lock_);
  const bool read = command.operation == BlockOperation::kRead;
  for (size_t i = 0; i < command.segments.size(); i++) {
    bool last = i + 1 == command.segments.size();
    table_[i] = {command.segments[i].address.value(), static_cast<uint16_t>(command.segments[i].bytes), last ? kEndOfTable : uint16_t{0}};
  }
  port_write8(bus_master_ + kMasterCommand, 0);
  port_write32(bus_master_ + kMasterTable, PhysAddr::of(table_frame_).value());
  port_write8(bus_master_ + kMasterStatus, kMasterFailed | kMasterInterrupt);  // ones clear
  port_write8(bus_master_ + kMasterCommand, read ? kMasterToMemory : 0);
  Result<void> issued = issue(command, true);
  if (issued.ok()) port_write8(bus_master_ + kMasterCommand, static_cast<uint8_t>(kMasterStart | (read ? kMasterToMemory : 0)));
  Result<uint8_t> status = issued.ok() ? wait_interrupt() : Result<uint8_t>(issued.error());
  uint8_t master = port_read8(bus_master_ + kMasterStatus);
  port_write8(bus_master_ + kMasterCommand, 0);
  if (status.ok() && !(status.value() & (kError | kFault)) && !(master & kMasterFailed)) return {};
  reset();
  return Errno::kIO;
}

Result<void> IdeChannel::run_pio(const Command& command) {
  LockGuard guard(lock_);
  auto transfer = [&]() -> Result<void> {
    TRY(issue(command, false));
    const bool read = command.operation == BlockOperation::kRead;
    for (const BlockSegment& segment : command.segments) {
      for (uint32_t at = 0; at < segment.bytes; at += kSectorSize) {
        // A read's interrupt says that a sector is ready, a write's that one was taken: the first is asked for without.
        uint8_t status = read ? TRY(wait_interrupt()) : TRY(poll_not_busy(kCommandTime));
        if ((status & (kError | kFault)) || !(status & kDataRequest)) return Errno::kIO;
        expect_interrupt();
        uint8_t* data = pointer(segment.address + at);
        if (read) {
          port_read16_many(commands_ + kData, data, kWordsPerSector);
        } else {
          port_write16_many(commands_ + kData, data, kWordsPerSector);
          if (TRY(wait_interrupt()) & (kError | kFault)) return Errno::kIO;
        }
      }
    }
    if (command.operation == BlockOperation::kFlush && (TRY(wait_interrupt()) & (kError | kFault))) return Errno::kIO;
    return {};
  };
  Result<void> result = transfer();
  if (!result.ok()) reset();
  return result;
}

}  // namespace faultline
