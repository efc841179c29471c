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
    if (page.value() == last_.start + last_.pages * kPageSize) {
      last_.pages += pages;
      return;
    }
    if (last_.pages > 0) {
      if (earlier_count_ == kEarlier) {
        pages_ = kFlushAllThreshold + 1;
        return;
      }
      earlier_[earlier_count_++] = last_;
    }
    last_ = {page.value(), pages};
  }
  // Past this it no longer matters what is added: all of the TLB goes.
  bool is_everything() const { return pages_ > kFlushAllThreshold; }
  bool is_empty() const { return pages_ == 0; }
  // Returns when every CPU has forgotten.
  void flush();

 private:
  struct Range {
    uint32_t start, pages;  // `start` is an address
  };
  static constexpr uint32_t kEarlier = 5;
  static void flush(Range range, CpuMask cpus);  // preemption is off
  const Atomic<CpuMask>* cpus_ = nullptr;
  uint32_t pages_ = 0, earlier_count_ = 0;
  Range last_ = {0, 0};
  Range earlier_[kEarlier];  // the first earlier_count_ of them
};

// One page of one space, at once: for an entry just replaced, while its table's lock is held (so preemption is off).
inline void flush_page(const Atomic<CpuMask>& cpus, VirtAddr page) {
  if (cpus.load(memory_order_seq_cst) == cpu_bit(this_cpu())) [[likely]]
    return mmu_flush_page(page);
  FlushBatch batch(cpus);
  batch.add(page);
}

}  // namespace faultline
