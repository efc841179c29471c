// The order of boot, top to bottom.
#include "arch/clock.h"
#include "arch/cpu.h"
#include "arch/mmu.h"
#include "arch/start.h"
#include "drivers/acpi/acpi.h"
#include "drivers/block/block_drivers.h"
#include "drivers/early_serial.h"
#include "drivers/terminal/input_thread.h"
#include "drivers/terminal/start.h"
#include "fs/anonymous.h"
#include "fs/dentry.h"
#include "fs/devfs/devfs.h"
#include "fs/ext2/file_system.h"
#include "fs/mount.h"
#include "fs/namespace.h"
#include "fs/proc/proc.h"
#include "fs/swap_area.h"
#include "fs/tmpfs/tmpfs.h"
#include "kernel/boot_information.h"
#include "kernel/files/epoll_nesting.h"
#include "kernel/files/kernel_log_file.h"
#include "kernel/io_uring/ring_workers.h"
#include "kernel/log.h"
#include "kernel/net/address_family.h"
#include "kernel/net/internet/internet.h"
#include "kernel/proc/contents.h"
#include "kernel/process.h"
#include "kernel/root_file_systems.h"
#include "kernel/scheduler.h"
#include "kernel/time_internal.h"
#include "kernel/trace_ring.h"
#include "kernel/vdso.h"
#include "kernel/watchdog.h"
#include "mm/frames.h"
#include "mm/reclaim.h"
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

// replacement=two-queues, clock or fifo: which pages go when memory is short.
Policy replacement_policy() {
  StringView name = boot_option("replacement", "two-queues");
  return name == "clock" ? Policy::kClock : name == "fifo" ? Policy::kFifo : Policy::kTwoQueues;
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

// Programs find their disk as it was a few seconds ago, whatever happens.
void write_back_for_ever(void*) {
  constexpr uint64_t kInterval = 5'000'000'000;
  for (;;) {
    ignore_result(block(SleepKind::kUninterruptible, Deadline{clock_monotonic() + kInterval}));  // ends by time or spuriously
    ignore_result(mounts_synchronize(WriteBack::kStart));  // an error stays with its object, for fsync
  }
}

void start_thread(const char* name, void (*entry)(void*)) {
  if (!kernel_thread_create(name, entry, nullptr).ok()) PANIC("no memory for the kernel's own threads");
}

void register_ramdisks() {
  for (const BootModule& module : boot_information().modules) ramdisk_register(module.start, module.bytes);
}

void start_terminals() {
  if (!terminals_initialize(boot_option("console")).ok()) PANIC("no memory for the terminals");
  start_thread("terminals", terminal_input_loop);
}

// Everything that may sleep: the first thread, which becomes process 1.
void start_system(void*) {
  dentries_initialize();
  mounts_initialize();
  anonymous_initialize();
  epoll_initialize();
  RingWorkers::initialize();
  networks_initialize();
  rename_initialize();
  swap_areas_initialize();
  tmpfs_initialize();
  ext2_initialize();
  proc_initialize();
  proc_contents_initialize();
  processes_initialize();
  vdso_initialize();
  trace_initialize();
  if (!memory_devices_register().ok() || !kernel_log_register().ok()) PANIC("no memory for the first devices");
  start_terminals();
  block_drivers_initialize();
  register_ramdisks();
  internet_initialize();
  root_file_systems_mount();
  start_thread("write-back", write_back_for_ever);
  start_thread("reclaim", reclaim_for_ever);
  watchdog_start();
  process_start_first(boot_option("init", "/sbin/init"), boot_init_arguments());
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
  spaces_initialize(replacement_policy());
  scheduler_initialize();
  cpu_start_others(boot_option_number("cpus", kMaxCpus), allocate_stack);
  announce();
  start_thread("init", start_system);
  scheduler_enter_cpu();
}

}  // namespace faultline
