// Several block requests under one wait: see block_batch.h.
#include "fs/block_batch.h"

#include <bit>

#include "arch/clock.h"

namespace faultline {

namespace {
constinit Atomic<uint32_t> sectors_read{0}, sectors_written{0};
}  // namespace

BlockTransfers block_transfers() { return {sectors_read.load(memory_order_relaxed), sectors_written.load(memory_order_relaxed)}; }

bool BlockBatch::extends_current(uint64_t sector) const {
  const BlockRequest& request = requests_[current_];
  return request.segment_count != 0 && request.sector + request.sectors() == sector;
}

void BlockBatch::add(uint64_t sector, PhysAddr address, uint32_t bytes) {
  ASSERT(bytes != 0 && bytes % kSectorSize == 0 && (address.value() & kPageMask) + bytes <= kPageSize);
  uint64_t sectors = bytes / kSectorSize;
  if (sector >= device_.sectors() || device_.sectors() - sector < sectors ||
      (operation_ == BlockOperation::kWrite && device_.is_read_only())) {
    InterruptLockGuard guard(lock_);
    if (error_ == static_cast<Errno>(0)) error_ = sector >= device_.sectors() ? Errno::kINVAL : Errno::kROFS;
    if (device_.sectors() - sector < sectors) error_ = Errno::kINVAL;
    return;
  }
  if (requests_[current_].segment_count != 0 && !extends_current(sector)) submit_current();
  BlockRequest& request = requests_[current_];
  if (request.segment_count == 0) {
    request.operation = operation_;
    request.sector = sector;
  } else {
    BlockSegment& last = request.segments[request.segment_count - 1];
    if (last.address + last.bytes == address && last.address.frame() == address.frame()) {
      last.bytes += bytes;
      return;
    }
  }
  request.segments[request.segment_count++] = {address, bytes};
  if (request.segment_count == BlockRequest::kMaxSegments) submit_current();
}

void BlockBatch::add_flush() {
  if (requests_[current_].segment_count != 0) submit_current();
  requests_[current_].operation = BlockOperation::kFlush;
  submit_current();
}

// Sends the current request off and makes a free one current, waiting for one if need be.
void BlockBatch::submit_current() {
  BlockRequest& request = requests_[current_];
  request.complete = &BlockBatch::completed;
  request.context = this;
  if (request.operation == BlockOperation::kRead) sectors_read.fetch_add(request.sectors(), memory_order_relaxed);
  if (request.operation == BlockOperation::kWrite) sectors_written.fetch_add(request.sectors(), memory_order_relaxed);
  {
    InterruptLockGuard guard(lock_);
    busy_ |= 1u << current_;
  }
  device_.send(request);
  wait_for(kRequests - 1);
  InterruptLockGuard guard(lock_);
  current_ = static_cast<uint32_t>(std::countr_one(busy_));
  requests_[current_].segment_count = 0;
}

// Sleeps until at most `limit` requests are in flight.
void BlockBatch::wait_for(uint32_t limit) {
  for (;;) {
    {
      InterruptLockGuard guard(lock_);
      if (static_cast<uint32_t>(std::popcount(busy_)) <= limit) return;
    }
    const Deadline deadline{clock_monotonic() + BlockDevice::kPatience};
    if (!block(SleepKind::kUninterruptible, deadline).ok()) device_.stalled();  // and we look again
  }
}

void BlockBatch::completed(BlockRequest& request, Result<void> status) {
  BlockBatch& self = *static_cast<BlockBatch*>(request.context);
  InterruptLockGuard guard(self.lock_);
  self.busy_ &= ~(1u << (&request - self.requests_));
  if (!status.ok() && self.error_ == static_cast<Errno>(0)) self.error_ = status.error();
  wake(*self.thread_);
}

Result<void> BlockBatch::finish() {
  if (requests_[current_].segment_count != 0) submit_current();
  wait_for(0);
  InterruptLockGuard guard(lock_);
  if (error_ != static_cast<Errno>(0)) return error_;
  return {};
}

}  // namespace faultline
