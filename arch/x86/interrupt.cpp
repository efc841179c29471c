// Device interrupts: which handlers a line has, and the way from a vector to them.
#include "arch/interrupt.h"

#include <array>

#include "arch/context.h"
#include "arch/start.h"
#include "arch/x86/io_apic.h"
#include "arch/x86/local_apic.h"
#include "arch/x86/per_cpu.h"
#include "arch/x86/pic.h"
#include "arch/x86/smp.h"
#include "arch/x86/timer.h"
#include "arch/x86/tlb.h"
#include "lib/lock.h"

namespace faultline {

namespace {

constexpr uint32_t kLines = 64, kMaxHandlers = 32, kIsaLines = 16;

struct Handler {
  InterruptHandler function;
  void* context;
  Handler* next;
};

// Handlers are only added, at boot, each complete before its line is opened; so reading needs no lock.
constinit std::array<Handler, kMaxHandlers> handlers = {};
constinit uint32_t handler_count = 0;
constinit std::array<Atomic<Handler*>, kLines> line_handlers = {};
// Each CPU writes its own row.
constinit std::array<std::array<uint64_t, kLines>, kMaxCpus> counts = {};
constinit std::array<uint64_t, kMaxCpus> timer_counts = {};

void serve_line(uint32_t vector) {
  uint32_t line = vector - VECTOR_FIRST_INTERRUPT;
  if (line >= kLines) return;
  if (!io_apics_are_used() && (line >= kIsaLines || !pic_acknowledge(line))) return;
  counts[this_cpu()][line]++;
  for (const Handler* handler = line_handlers[line].load(memory_order_acquire); handler; handler = handler->next)
    handler->function(handler->context);
  // A level-triggered line counts as served only now that its device is quiet.
  if (io_apics_are_used()) local_apic_end_of_interrupt();
}

}  // namespace

void interrupts_initialize(const MachineTopology& topology) {
  pic_initialize();
  if (topology.has_apics()) {
    local_apic_map(topology.local_apic_address);
    if (local_apic_is_used()) io_apics_initialize(topology);
    if (io_apics_are_used()) local_apic_initialize();
  }
  cpu_topology_set(topology);
}

Result<void> interrupt_install(uint32_t line, InterruptTrigger trigger, InterruptHandler function, void* context) {
  uint32_t interrupt = io_apics_are_used() ? io_apic_global_interrupt(line) : line;
  if (interrupt >= (io_apics_are_used() ? kLines : kIsaLines)) return Errno::kINVAL;
  if (handler_count == kMaxHandlers) return Errno::kNOMEM;
  Handler& handler = handlers[handler_count++];
  handler = {function, context, line_handlers[interrupt].load(memory_order_relaxed)};
  line_handlers[interrupt].store(&handler, memory_order_release);
  if (!io_apics_are_used()) {
    pic_unmask(interrupt);
  } else if (!io_apic_route(line, trigger, VECTOR_FIRST_INTERRUPT + interrupt, cpu_areas[0].apic_id)) {
    return Errno::kINVAL;
  }
  return {};
}

uint64_t interrupt_count(uint32_t cpu, uint32_t line) {
  uint32_t interrupt = io_apics_are_used() ? io_apic_global_interrupt(line) : line;
  return cpu < kMaxCpus && interrupt < kLines ? counts[cpu][interrupt] : 0;
}

uint64_t timer_interrupt_count(uint32_t cpu) { return cpu < kMaxCpus ? timer_counts[cpu] : 0; }

// Nothing pre-empts a handler half-way; the way out (traps.S) looks whether something should run instead.
extern "C" void interrupt_dispatch(TrapFrame* frame) {
  machine::CpuAreaHead& head = this_cpu_area().head;
  head.preemption_disabled++;
  uint32_t locks_before = lock_order_interrupt_begins();
  switch (frame->vector) {
    case VECTOR_TIMER:
      timer_counts[head.index]++;
      local_apic_end_of_interrupt();
      timer_interrupt();
      break;
    case VECTOR_KICK:
      local_apic_end_of_interrupt();
      head.need_reschedule = 1;
      break;
    case VECTOR_SHOOTDOWN:
      local_apic_end_of_interrupt();
      tlb_serve_requests();
      break;
    case VECTOR_CALL:
      local_apic_end_of_interrupt();
      cpu_serve_call();
      break;
    case VECTOR_SPURIOUS:  // SDM volume 3, 11.9: not to be acknowledged
      break;
    default: serve_line(frame->vector);
  }
  lock_order_interrupt_ends(locks_before);
  head.preemption_disabled--;
}

}  // namespace faultline
