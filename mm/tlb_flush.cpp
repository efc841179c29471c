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
  } else {
    for (uint32_t i = 0; i < earlier_count_; i++) flush(earlier_[i], cpus);
    flush(last_, cpus);
  }
  pages_ = earlier_count_ = 0;
  last_ = {0, 0};
}

void FlushBatch::flush(Range range, CpuMask cpus) {
  if (cpus == cpu_bit(this_cpu())) {
    for (uint32_t page = 0; page < range.pages; page++) mmu_flush_page(VirtAddr(range.start) + page * kPageSize);
  } else if (cpus != 0) {
    mmu_flush_cpus(cpus, {VirtAddr(range.start), range.pages});
  }
}

}  // namespace faultline
