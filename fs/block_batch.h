// Gathers transfers of one direction into few requests: neighbours on the disk become one request, several requests are in flight,
// and one wait covers them all. Lives on the caller's stack.
#pragma once

#include "fs/block_device.h"
#include "lib/lock.h"
#include "lib/scheduling.h"

namespace faultline {

class BlockBatch {
 public:
  BlockBatch(BlockDevice& device, BlockOperation operation) : device_(device), operation_(operation), thread_(current_thread()) {}
  BlockBatch(const BlockBatch&) = delete;
  BlockBatch& operator=(const BlockBatch&) = delete;
  // Waits for what is in flight.
  ~BlockBatch() { ignore_result(finish()); }

  // Adds `bytes` (whole sectors, within one frame) at `sector`. May submit and sleep. Errors are kept for finish().
  void add(uint64_t sector, PhysAddr address, uint32_t bytes);
  // A flush of the device's own cache, after what is complete.
  void add_flush();
  // Submits the rest and sleeps until everything is done. kIO (the first error); kINVAL past the end; kROFS.
  Result<void> finish();

 private:
  static constexpr uint32_t kRequests = 3;
  static void completed(BlockRequest& request, Result<void> status);
  bool extends_current(uint64_t sector) const;
  void submit_current();
  void wait_for(uint32_t limit);

  BlockDevice& device_;
  const BlockOperation operation_;
  Thread* const thread_;
  uint32_t current_ = 0;  // the request being filled, if it has segments
  BlockRequest requests_[kRequests];
  // The last thing a completion touches is this lock, so that the batch may die as soon as a waiter has seen `busy_` under it.
  InterruptSpinLock<LockRank::kBlockQueue> lock_;
  uint32_t busy_ GUARDED_BY(lock_) = 0;  // a bit for each request in flight
  Errno error_ GUARDED_BY(lock_) = static_cast<Errno>(0);
};

// Sectors that all batches have asked for since boot, modulo 2^32.
struct BlockTransfers {
  uint32_t sectors_read, sectors_written;
};
BlockTransfers block_transfers();

}  // namespace faultline
