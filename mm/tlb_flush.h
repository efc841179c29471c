// What TLBs must forget, gathered and then flushed together. Every function that lowers a right, replaces a frame or changes a
// directory entry takes a FlushBatch, and the batch flushes when it ends: forgetting the flush does not compile.
#pragma once

#include "arch/mmu.h"

namespace faultline {

class FlushBatch {
 public:
  // For one space: the CPUs in its mask when the flush is made.
  explicit FlushBatch(const Atomic<CpuMask>& cpus) : cpus_(&cpus) {}
  // For entries found through the reverse map, whose spaces are not known: every CPU.
  FlushBatch() = default;
  ~FlushBatch() {
    if (pages_ != 0) flush();
  }
  FlushBatch(const FlushBatch&) = delete;
  FlushBatch& operator=(const FlushBatch&) = delete;

  // The translation of a page, and what is cached of its directory entry.
  void add(VirtAddr page, uint32_t pages = 1) {
    if (pages_ > kFlushAllThreshold) return;
    pages_ += pages;
    if (range_count_ > 0 && ranges_[range_count_ - 1].start + ranges_[range_count_ - 1].pages * kPageSize == page.value())
      ranges_[range_count_ - 1].pages += pages;
    else if (range_count_ < kRanges)
      ranges_[range_count_++] = {page.value(), pages};
    else
      pages_ = kFlushAllThreshold + 1;
  }
  // Past this it no longer matters what is added: all of the TLB goes.
  bool is_everything() const { return pages_ > kFlushAllThreshold; }
  bool is_empty() const { return pages_ == 0; }
  // Returns when every CPU has forgotten.
  void flush();

 private:
  static constexpr uint32_t kRanges = 6;
  const Atomic<CpuMask>* cpus_ = nullptr;
  uint32_t pages_ = 0, range_count_ = 0;
  struct Range {
    uint32_t start, pages;  // `start` is an address
  };
  Range ranges_[kRanges];  // the first range_count_ of them
};

// One page of one space, at once: for an entry just replaced, while its table's lock is held (so preemption is off).
inline void flush_page(const Atomic<CpuMask>& cpus, VirtAddr page) {
  if (cpus.load(memory_order_seq_cst) == cpu_bit(this_cpu())) [[likely]]
    return mmu_flush_page(page);
  FlushBatch batch(cpus);
  batch.add(page);
}

}  // namespace faultline
