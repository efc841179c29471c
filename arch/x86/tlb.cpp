// TLB maintenance, on this CPU and on others (SDM volume 3, 4.10).
//
// Shootdown: the asking CPU publishes range and the set of CPUs it waits for in its own request, sets its bit in each of
// their inboxes, interrupts them, flushes itself, and waits until all have taken themselves out of the set, serving its own
// inbox meanwhile: two CPUs that ask each other with interrupts off both get their answer. No lock: a CPU has one request, and
// stays on it (preemption off) until it is answered. A request is only read between the inbox bit and the acknowledgement, so
// the next one, of a later generation, cannot overtake it.
#include "arch/x86/tlb.h"

#include <array>

#include "arch/mmu.h"
#include "arch/x86/paging.h"
#include "arch/x86/per_cpu.h"
#include "arch/x86/smp.h"

namespace faultline {

namespace {

struct alignas(64) Request {
  FlushRange range;         // written by its CPU while `waiting_for` is empty
  uint32_t generation = 0;  // how many there have been, for debuggers
  Atomic<CpuMask> waiting_for{0};
};
constinit std::array<Request, kMaxCpus> requests = {};

struct alignas(64) Inbox {
  Atomic<CpuMask> from{0};
};
constinit std::array<Inbox, kMaxCpus> inboxes = {};

void flush_here(FlushRange range) {
  if (range.pages > kFlushAllThreshold) {
    mmu_flush_all();
    return;
  }
  for (uint32_t i = 0; i < range.pages; i++) mmu_flush_page(range.start + i * kPageSize);
}

template <typename Visit>
void for_each_cpu(CpuMask cpus, Visit visit) {
  for (; cpus != 0; cpus &= cpus - 1) visit(static_cast<uint32_t>(__builtin_ctz(cpus)));
}

// Kept apart from mmu_flush_cpus, whose common case is one CPU.
[[gnu::noinline]] void flush_others(uint32_t self, CpuMask others, FlushRange range) {
  Request& request = requests[self];
  request.range = range;
  request.generation++;
  request.waiting_for.store(others, memory_order_relaxed);
  for_each_cpu(others, [self](uint32_t cpu) { inboxes[cpu].from.fetch_or(cpu_bit(self), memory_order_seq_cst); });
  for_each_cpu(others, [](uint32_t cpu) { cpu_interrupt(cpu, VECTOR_SHOOTDOWN); });
}

void wait_for_answers(uint32_t self) {
  while (requests[self].waiting_for.load(memory_order_acquire) != 0) {
    tlb_serve_requests();
    machine::relax();
  }
}

}  // namespace

void mmu_flush_all() {
  uint32_t cr3;
  asm volatile("movl %%cr3, %0" : "=r"(cr3) : : "memory");
  write_cr3(cr3);
}

void mmu_flush_cpus(CpuMask cpus, FlushRange range) {
  PreemptionGuard guard;
  uint32_t self = this_cpu();
  CpuMask others = cpus & cpu_online_mask() & ~cpu_bit(self);
  if (others) flush_others(self, others, range);
  if (cpus & cpu_bit(self)) flush_here(range);
  if (others) wait_for_answers(self);
}

void tlb_serve_requests() {
  uint32_t self = this_cpu();
  for_each_cpu(inboxes[self].from.exchange(0, memory_order_seq_cst), [self](uint32_t cpu) {
    flush_here(requests[cpu].range);
    requests[cpu].waiting_for.fetch_and(~cpu_bit(self), memory_order_release);
  });
}

}  // namespace faultline
