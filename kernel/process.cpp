// Processes as objects: what others may ask of one, the list of all, usage.
#include "kernel/process.h"

#include "arch/clock.h"
#include "fs/descriptor_table.h"
#include "fs/namespace.h"
#include "kernel/futex.h"
#include "kernel/pid.h"
#include "kernel/scheduler.h"
#include "kernel/scheduler_internal.h"
#include "kernel/signal_internal.h"
#include "kernel/time.h"
#include "kernel/time_internal.h"
#include "lib/late.h"
#include "mm/slab.h"

namespace faultline {

constinit InterruptSpinLock<LockRank::kProcessTable> process_table_lock;

namespace {
constinit Late<List<Process, AllProcessesTag>> processes;
constinit Atomic<uint32_t> process_count{0};
}  // namespace

List<Process, AllProcessesTag>& all_processes() { return *processes; }

void processes_initialize() {
  processes.construct();
  signal_news_initialize();
  futexes_initialize();
  ClockTimer::initialize();
}

Process::Process() { process_count.fetch_add(1, memory_order_relaxed); }

Process::~Process() { process_count.fetch_sub(1, memory_order_relaxed); }

void Process::destroy(Process* process) { slab_delete(process); }

uint32_t Process::count() { return process_count.load(memory_order_relaxed); }

void ResourceUsage::add(const ResourceUsage& other) {
  user_time += other.user_time;
  kernel_time += other.kernel_time;
  minor_faults += other.minor_faults;
  major_faults += other.major_faults;
  voluntary_switches += other.voluntary_switches;
  involuntary_switches += other.involuntary_switches;
  if (other.peak_resident_pages > peak_resident_pages) peak_resident_pages = other.peak_resident_pages;
}

ResourceUsage thread_usage(const Thread& thread) {
  ResourceUsage usage;
  uint64_t time = scheduler_run_time(thread);
  uint64_t ticks = thread.user_ticks + thread.kernel_ticks;
  // The exact time, split as the samples have it; without samples it counts as the program's.
  usage.kernel_time = ticks ? time / ticks * thread.kernel_ticks : 0;
  usage.user_time = time - usage.kernel_time;
  usage.minor_faults = thread.minor_faults;
  usage.major_faults = thread.major_faults;
  usage.voluntary_switches = thread.voluntary_switches;
  usage.involuntary_switches = thread.involuntary_switches;
  return usage;
}

Ref<AddressSpace> Process::shared_space() {
  LockGuard guard(lock_);
  return space_;
}

Ref<DescriptorTable> Process::shared_descriptors() {
  LockGuard guard(lock_);
  return descriptors_;
}

Ref<NameContext> Process::shared_names() {
  LockGuard guard(lock_);
  return names_;
}

Ref<File> Process::executable() {
  LockGuard guard(lock_);
  return executable_;
}

ResourceUsage process_usage_locked(Process& process) {
  ResourceUsage usage = process.ended_threads_;
  for (Thread& thread : process.threads_) usage.add(thread_usage(thread));
  return usage;
}

ResourceUsage Process::usage() {
  uint32_t peak = 0;
  if (Ref<AddressSpace> space = shared_space()) peak = space->peak_resident_pages();
  InterruptLockGuard guard(process_table_lock);
  ResourceUsage usage = process_usage_locked(*this);
  if (peak_resident_pages_ > peak) peak = peak_resident_pages_;
  usage.peak_resident_pages = peak;
  return usage;
}

MachineUsage ended_usage;

MachineUsage machine_usage() {
  InterruptLockGuard guard(process_table_lock);
  MachineUsage usage = ended_usage;
  for (Process& process : *processes)
    for (Thread& thread : process.threads_) {
      usage.minor_faults += thread.minor_faults;
      usage.major_faults += thread.major_faults;
    }
  return usage;
}

void Process::for_each(bool (*visit)(Process&, void* context), void* context) {
  InterruptLockGuard guard(process_table_lock);
  for (Process& process : *processes)
    if (!visit(process, context)) return;
}

Ref<Process> Process::find(uint32_t pid) {
  InterruptLockGuard guard(process_table_lock);
  Process* process = pid_find_locked(pid);
  return process && process->pid_ == pid ? Ref<Process>(*process) : Ref<Process>();
}

Ref<Process> Process::next(uint32_t pid) {
  InterruptLockGuard guard(process_table_lock);
  uint32_t number = pid_next_process_locked(pid);
  return number ? Ref<Process>(*pid_find_locked(number)) : Ref<Process>();
}

uint64_t current_data_limit() { return current_process().limit(Resource::kData); }
uint64_t current_locked_limit() {
  Process& self = current_process();
  return self.credentials().is_superuser() ? ~0ull : self.limit(Resource::kLockedMemory);
}

bool current_may_use_the_reserve() { return current_process().credentials().is_superuser(); }

void fault_count_minor() { running_thread().minor_faults++; }
void fault_count_major() { running_thread().major_faults++; }

}  // namespace faultline
