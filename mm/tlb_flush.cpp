// See tlb_flush.h. The mask is read with preemption off: this thread must not move to another CPU, and so add it to
// the mask, between looking and flushing.
#include "mm/tlb_flush.h"

#include <machine/planted_bugs.h>

namespace faultline {

void FlushBatch::flush() {
  if (pages_ == 0) return;
  PreemptionGuard guard;
  CpuMask here = cpu_bit(this_cpu());
  CpuMask cpus = cpus_ ? cpus_->load(memory_order_seq_cst) : cpu_bit(cpu_count()) - 1;
  if (machine::planted(machine::Bug::kFlushOneCpuOnly)) cpus &= here;
  if (is_everything()) {
    if (cpus == here)
      mmu_flush_all();
    else if (cpus != 0)
      mmu_flush_all_on(cpus);
  } else if (cpus == here) {
    for (uint32_t i = 0; i < range_count_; i++)
      for (uint32_t page = 0; page < ranges_[i].pages; page++) mmu_flush_page(VirtAddr(ranges_[i].start) + page * kPageSize);
  } else if (cpus != 0) {
    for (uint32_t i = 0; i < range_count_; i++) mmu_flush_cpus(cpus, {VirtAddr(ranges_[i].start), ranges_[i].pages});
  }
  pages_ = range_count_ = 0;
}

}  // namespace faultline
