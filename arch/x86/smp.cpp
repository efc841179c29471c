// The other processors: started by INIT and STARTUP messages (SDM volume 3, 9.4.4), kicked, called, stopped.
#include "arch/x86/smp.h"

#include "arch/clock.h"
#include "arch/context.h"
#include "arch/interrupt.h"
#include "arch/mmu.h"
#include "arch/start.h"
#include "arch/x86/features.h"
#include "arch/x86/local_apic.h"
#include "arch/x86/paging.h"
#include "arch/x86/per_cpu.h"
#include "lib/lock.h"
#include "lib/string.h"

// boot/trampoline.S; what it reads is at its end.
extern "C" char trampoline_start[], trampoline_end[], trampoline_stack[];

namespace faultline {

namespace {

constinit MachineTopology topology = {};
constinit uint32_t count = 1;
constinit Atomic<CpuMask> online{1};
constinit Atomic<bool> stopping{false};

// One call at a time: what the others run, and who has not yet.
SpinLock<LockRank::kShootdown> call_lock;
struct Call {
  void (*function)(void*);
  void* context;
  Atomic<CpuMask> waiting_for{0};
};
constinit Call call = {};

void wait_microseconds(uint32_t microseconds) {
  uint64_t end = clock_monotonic() + uint64_t{microseconds} * 1000;
  while (clock_monotonic() < end) machine::relax();
}

bool wait_until_online(uint32_t cpu, uint32_t microseconds) {
  uint64_t end = clock_monotonic() + uint64_t{microseconds} * 1000;
  while (!(online.load(memory_order_acquire) & cpu_bit(cpu))) {
    if (clock_monotonic() >= end) return false;
    machine::relax();
  }
  return true;
}

bool start(uint32_t cpu, uint32_t apic_id, void* stack_top) {
  cpu_areas[cpu].head.index = cpu;
  cpu_areas[cpu].apic_id = apic_id;
  char* place = reinterpret_cast<char*>(kKernelBase + TRAMPOLINE_ADDRESS);
  uint32_t* stack = static_cast<uint32_t*>(stack_top);
  *--stack = cpu;  // cpu_entry()'s argument
  *--stack = 0;    // and its caller
  auto stack_word = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(stack));
  memcpy(place + (trampoline_stack - trampoline_start), &stack_word, sizeof stack_word);

  // 10 ms and 200 us by the book; emulated processors are ready at once.
  bool emulated = cpu_has(CpuFeature::kHypervisor);
  local_apic_send_init(apic_id);
  wait_microseconds(emulated ? 10 : 10000);
  for (uint32_t attempt = 0; attempt < 2; attempt++) {
    local_apic_send_startup(apic_id, TRAMPOLINE_ADDRESS >> kPageShift);
    if (wait_until_online(cpu, attempt == 0 ? 2000 : 1000000)) return true;
  }
  return false;
}

// Where the trampoline jumps: boot directory, its own descriptors, the stack it was given.
extern "C" [[noreturn]] void cpu_entry(uint32_t cpu) {
  write_cr3(PhysAddr::of(mmu_kernel_directory()).value());
  descriptors_initialize(cpu);
  interrupt_table_load();
  cpu_control_initialize();
  local_apic_initialize();
  online.fetch_or(cpu_bit(cpu), memory_order_seq_cst);
  kernel_cpu_start();
}

}  // namespace

void cpu_topology_set(const MachineTopology& description) {
  topology = description;
  if (local_apic_is_used()) cpu_areas[0].apic_id = local_apic_id();
}
const MachineTopology& cpu_topology() { return topology; }

uint32_t cpu_count() { return count; }
uint32_t cpu_present_count() { return topology.has_apics() ? topology.cpus : 1; }
CpuMask cpu_online_mask() { return online.load(memory_order_acquire); }

void cpu_start_others(uint32_t limit, void* (*stack_source)()) {
  if (!local_apic_is_used()) return;
  mmu_complete_boot_directory();
  memcpy(reinterpret_cast<void*>(kKernelBase + TRAMPOLINE_ADDRESS), trampoline_start,
         static_cast<size_t>(trampoline_end - trampoline_start));
  for (uint32_t i = 0; i < topology.cpus && count < limit && count < kMaxCpus; i++) {
    uint32_t apic_id = topology.apic_ids[i];
    if (apic_id == cpu_areas[0].apic_id) continue;
    void* stack_top = stack_source();
    if (!stack_top) return;
    if (start(count, apic_id, stack_top)) count++;
    // One that did not answer might still start later, into a stack and number of somebody else's: ask it to stay down.
    else
      local_apic_send_init(apic_id);
  }
}

void cpu_interrupt(uint32_t cpu, uint32_t vector) { local_apic_send(cpu_areas[cpu].apic_id, vector); }

void cpu_kick(uint32_t cpu) {
  if (online.load(memory_order_relaxed) & cpu_bit(cpu)) cpu_interrupt(cpu, VECTOR_KICK);
}

void cpu_call_others(void (*function)(void* context), void* context) {
  DEBUG_ASSERT(machine::interrupts_enabled() || count == 1);
  LockGuard guard(call_lock);
  CpuMask others = cpu_online_mask() & ~cpu_bit(this_cpu());
  call.function = function;
  call.context = context;
  call.waiting_for.store(others, memory_order_seq_cst);
  for (uint32_t cpu = 0; cpu < kMaxCpus; cpu++)
    if (others & cpu_bit(cpu)) cpu_interrupt(cpu, VECTOR_CALL);
  while (call.waiting_for.load(memory_order_acquire) != 0) machine::relax();
}

void cpu_serve_call() {
  call.function(call.context);
  call.waiting_for.fetch_and(~cpu_bit(this_cpu()), memory_order_release);
}

// By NMI, for a CPU may be waiting for a lock with interrupts off.
void cpu_stop_others() {
  stopping.store(true, memory_order_seq_cst);
  CpuMask others = cpu_online_mask() & ~cpu_bit(this_cpu());
  for (uint32_t cpu = 0; cpu < kMaxCpus; cpu++)
    if (others & cpu_bit(cpu)) local_apic_send_nmi(cpu_areas[cpu].apic_id);
  for (uint32_t spins = 0; spins < 1000000 && (cpu_online_mask() & others) != 0; spins++) machine::relax();
}

void cpu_stop_if_asked() {
  if (!stopping.load(memory_order_seq_cst)) return;
  online.fetch_and(~cpu_bit(this_cpu()), memory_order_seq_cst);
  for (;;) asm volatile("cli; hlt");
}

}  // namespace faultline
