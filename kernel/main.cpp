// The order of boot, top to bottom.
#include "arch/clock.h"
#include "arch/cpu.h"
#include "arch/mmu.h"
#include "arch/start.h"
#include "drivers/acpi/acpi.h"
#include "drivers/early_serial.h"
#include "kernel/boot_information.h"
#include "kernel/log.h"
#include "kernel/scheduler.h"
#include "mm/frames.h"
#include "mm/slab.h"
#include "mm/space.h"

namespace faultline {

namespace {

// log=3 (errors only) to log=7 (everything) on the console; the ring keeps all.
void apply_log_option() {
  uint32_t level = boot_option_number("log", static_cast<uint32_t>(LogLevel::kNotice));
  if (level <= static_cast<uint32_t>(LogLevel::kDebug)) log_set_console_level(static_cast<LogLevel>(level));
}

void announce() {
  const BootInformation& boot = boot_information();
  log(LogLevel::kNotice, "Faultline: {} of {} CPUs, {} MiB of usable memory", cpu_count(), cpu_present_count(), boot.usable_frames >> 8);
  if (boot.frames_beyond_reach != 0)
    log(LogLevel::kNotice, "{} MiB of memory past the first 1920 are left unused", boot.frames_beyond_reach >> 8);
  log(LogLevel::kInfo, "loaded by '{}' with '{}', {} modules", boot.loader_name, boot.command_line, boot.modules.size());
  for (const FrameRange& range : boot.usable)
    log(LogLevel::kInfo, "usable: {08x}-{08x}", PhysAddr::of(range.first), PhysAddr::of(range.first + range.count));
}

// For the first steps of another processor, which later become its idle thread. Null: out of memory.
void* allocate_stack() {
  FrameNumber frames[kKernelStackPages];
  for (FrameNumber& frame : frames) {
    Result<FrameNumber> result = frame_allocate(FrameUse::kKernelStack, Zeroing::kNotNeeded);
    if (!result.ok()) return nullptr;  // at boot: there is nothing worth giving back
    frame = result.value();
  }
  return mmu_map_kernel_stack(frames);
}

}  // namespace

void kernel_cpu_start() {
  scheduler_initialize();
  scheduler_enter_cpu();
}

extern "C" [[noreturn]] void kernel_main(uint32_t multiboot_information) {
  early_serial_initialize();
  traps_initialize();
  boot_information_initialize(multiboot_information);
  apply_log_option();
  mmu_initialize(boot_information().memory_end, boot_frames_take);
  interrupts_initialize(acpi_describe_machine(boot_information().memory_end));
  clock_initialize();
  frames_initialize(boot_information().usable);
  slab_initialize();
  spaces_initialize();
  scheduler_initialize();
  cpu_start_others(boot_option_number("cpus", kMaxCpus), allocate_stack);
  announce();
  scheduler_enter_cpu();
}

}  // namespace faultline
