// The local APIC's registers.
#include "arch/x86/local_apic.h"

#include "arch/cpu.h"
#include "arch/mmu.h"
#include "arch/x86/selectors.h"

namespace faultline {

namespace {

// Register offsets in bytes (SDM volume 3, table 11-1).
constexpr uint32_t kId = 0x20, kTaskPriority = 0x80, kEnd = 0xb0, kSpurious = 0xf0, kErrorStatus = 0x280, kCommandLow = 0x300,
                   kCommandHigh = 0x310, kTimerEntry = 0x320, kPerformanceEntry = 0x340, kLine0Entry = 0x350, kLine1Entry = 0x360,
                   kErrorEntry = 0x370, kTimerInitial = 0x380, kTimerCurrent = 0x390, kTimerDivide = 0x3e0;
constexpr uint32_t kEnable = 1u << 8, kMasked = 1u << 16, kDeliverNmi = 4u << 8, kDeliverInit = 5u << 8, kDeliverStartup = 6u << 8,
                   kAssert = 1u << 14, kPending = 1u << 12, kDivideBy1 = 0xb;

constinit volatile uint32_t* registers = nullptr;

uint32_t read(uint32_t offset) { return registers[offset / 4]; }
void write(uint32_t offset, uint32_t value) { registers[offset / 4] = value; }

// The command register is a pair: an interrupt handler that sends in between would change its destination.
void command(uint32_t apic_id, uint32_t low) {
  InterruptGuard guard;
  while (read(kCommandLow) & kPending) machine::relax();
  write(kCommandHigh, apic_id << 24);
  write(kCommandLow, low);
}

}  // namespace

void local_apic_map(uint32_t physical_address) {
  registers = static_cast<volatile uint32_t*>(mmu_map_device(PhysAddr(physical_address), kPageSize));
}

bool local_apic_is_used() { return registers != nullptr; }

void local_apic_initialize() {
  write(kTaskPriority, 0);
  write(kSpurious, kEnable | VECTOR_SPURIOUS);
  write(kTimerDivide, kDivideBy1);
  write(kTimerEntry, VECTOR_TIMER);
  write(kTimerInitial, 0);
  write(kPerformanceEntry, kMasked);
  write(kLine0Entry, kMasked);
  write(kLine1Entry, kDeliverNmi);
  write(kErrorEntry, kMasked);
  write(kErrorStatus, 0);
  write(kEnd, 0);
}

uint32_t local_apic_id() { return read(kId) >> 24; }
void local_apic_end_of_interrupt() { write(kEnd, 0); }
void local_apic_send(uint32_t apic_id, uint32_t vector) { command(apic_id, kAssert | vector); }
void local_apic_send_nmi(uint32_t apic_id) { command(apic_id, kAssert | kDeliverNmi); }
void local_apic_send_init(uint32_t apic_id) { command(apic_id, kAssert | kDeliverInit); }
void local_apic_send_startup(uint32_t apic_id, uint32_t page) { command(apic_id, kAssert | kDeliverStartup | page); }
void local_apic_timer_start(uint32_t ticks) { write(kTimerInitial, ticks); }
uint32_t local_apic_timer_left() { return read(kTimerCurrent); }

}  // namespace faultline
