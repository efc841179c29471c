// Choosing who ends when memory is full, saying so, and waiting until it has: see out_of_memory.h. (Linux: mm/oom_kill.c.)
#include "kernel/out_of_memory.h"

#include "arch/clock.h"
#include "kernel/process.h"
#include "kernel/signal_internal.h"
#include "kernel/time_internal.h"
#include "lib/log.h"
#include "mm/frame.h"
#include "mm/frames.h"
#include "mm/reclaim.h"
#include "mm/swap.h"

namespace faultline {

namespace {

// One thread at a time looks round: it holds references to spaces, and where one of them is the last, that memory comes back only with it.
constinit Atomic<bool> is_looking = false;

// In nanoseconds: what one that ends has without running, and in all.
constexpr uint64_t kPause = 2'000'000, kPatience = 3'000'000'000, kLongPatience = 120'000'000'000;

uint64_t all_memory() { return uint64_t{frames_total()} + swap_statistics().total; }

int64_t adjusted(const ProcessSize& size, int32_t adjustment) {
  return int64_t{size.sum()} + static_cast<int64_t>(all_memory()) * adjustment / kMostAdjustment;
}

// Process 1 keeps the system alive, and whoever runs in its memory would take it along.
bool may_be_chosen(Process& process, const AddressSpace* space) {
  if (process.pid() == 1 || process.memory_adjustment_.load(memory_order_relaxed) == kLeastAdjustment) return false;
  Ref<Process> init = Process::find(1);
  return !init || init->shared_space().get() != space;
}

struct Choice {
  Ref<Process> process;
  ProcessSize size;
  int64_t points = 0;
};

// The largest. A process on its way out is passed over once it has had its time: it waits for something that only others can give.
Choice choose() {
  Choice best;
  for (Ref<Process> process = Process::next(1); process; process = Process::next(process->pid() + 1)) {
    Ref<AddressSpace> space = process->shared_space();
    if (!space || process->ending_ || !may_be_chosen(*process, space.get())) continue;
    space = nullptr;
    const ProcessSize size = process_size(*process);
    const bool goes_first = process->eats_memory_.load(memory_order_relaxed);
    const int64_t points = goes_first ? INT64_MAX : adjusted(size, process->memory_adjustment_.load(memory_order_relaxed));
    if (size.mapped == 0 || (best.process && points <= best.points)) continue;
    best = {process, size, points};
  }
  return best;
}

// Whether a process on its way out gets on with it. It has time as long as it runs: on a busy machine the end of a large one takes many seconds.
bool gets_on_locked(Process& process) REQUIRES(process_table_lock) {
  const uint64_t now = clock_monotonic(), ran = process_run_time_locked(process);
  Process::End& end = process.end_;
  if (end.first_seen == 0) end.first_seen = now;
  if (end.last_ran == 0 || ran != end.run_time) {
    end.last_ran = now;
    end.run_time = ran;
  }
  return now - end.last_ran < kPatience && now - end.first_seen < kLongPatience;
}

// Somebody who was chosen a moment ago, or ends by itself, and still has memory to give back.
Process* find_ending_locked() REQUIRES(process_table_lock) {
  for (Process& process : all_processes())
    if (process.ending_ && process.state_ != ProcessState::kZombie && gets_on_locked(process)) return &process;
  return nullptr;
}
Ref<Process> find_ending() {
  InterruptLockGuard guard(process_table_lock);
  Process* ending = find_ending_locked();
  return ending ? Ref<Process>(*ending) : Ref<Process>();
}

void announce(const Choice& choice) {
  auto kilobytes = [](uint32_t pages) { return uint64_t{pages} << (kPageShift - 10); };
  auto mebibytes = [](uint32_t pages) { return pages >> (20 - kPageShift); };
  Process& process = *choice.process;
  const ProcessSize& size = choice.size;
  Thread& self = running_thread();
  const StringView asker = self.is_kernel_thread() ? StringView(self.name) : StringView(self.process().name());
  const int32_t adjustment = process.memory_adjustment_.load(memory_order_relaxed);
  log(LogLevel::kWarning, "{} invoked oom-killer: order=0, oom_score_adj={}", asker,
      self.is_kernel_thread() ? 0 : self.process().memory_adjustment_.load(memory_order_relaxed));
  log(LogLevel::kError,
      "Out of memory: Killed process {} ({}) total-vm:{}kB, anon-rss:{}kB, file-rss:{}kB, shmem-rss:{}kB, UID:{} pgtables:{}kB "
      "oom_score_adj:{}",
      process.pid(), process.name(), kilobytes(size.mapped), kilobytes(size.anonymous), kilobytes(size.file), kilobytes(size.shared),
      process.credentials().uid, kilobytes(size.tables), adjustment);
  const SwapStatistics swap = swap_statistics();
  log(LogLevel::kError,
      "{} MiB of memory are full, of {} MiB of swap {} are free: process {} ({}), the largest by its score with {} MiB in memory, {} MiB "
      "in "
      "swap and {} KiB of page tables, ends, and the others go on",
      mebibytes(frames_total()), mebibytes(swap.total), mebibytes(swap.free), process.pid(), process.name(),
      mebibytes(size.anonymous + size.file + size.shared), mebibytes(size.swapped), kilobytes(size.tables));
}

// The process ends, and all others that live in the same memory, which comes back only with the last. False: somebody else is ending already, or has
// ended and given back what this thread did not find.
bool end_with_memory(Process& chosen, const AddressSpace* space) {
  auto kill_locked = [](Process& process) REQUIRES(process_table_lock) {
    ignore_result(signal_send_locked(process, signal_info_from_kernel(Signal::kKill)));  // not real-time: cannot fail
  };
  {
    InterruptLockGuard guard(process_table_lock);
    if (find_ending_locked() || frames_short_of_low() == 0) return false;
    kill_locked(chosen);
  }
  for (Ref<Process> process = Process::next(1); process; process = Process::next(process->pid() + 1)) {
    if (!space || process->shared_space().get() != space) continue;
    InterruptLockGuard guard(process_table_lock);
    kill_locked(*process);
  }
  return true;
}

// False: there is nobody who may be ended.
bool end_somebody() {
  Choice choice = choose();
  if (!choice.process) {
    if (frames_short_of_low() == 0) return true;  // the last who might have been has ended meanwhile
    log(LogLevel::kError, "Out of memory and no killable processes");
    return false;
  }
  Ref<AddressSpace> space = choice.process->shared_space();  // not longer than this: the last reference to it gives the memory back
  if (end_with_memory(*choice.process, space.get())) announce(choice);
  return true;
}

void pause() { ignore_result(block(SleepKind::kKillable, Deadline{clock_monotonic() + kPause})); }

// Until the memory of `process` has come back, or it has had its time.
void wait_for_end(Process& process) {
  const uint64_t end = clock_monotonic() + kPatience;
  while (process.state() != ProcessState::kZombie && clock_monotonic() < end && !fatal_signal_is_pending()) pause();
}

}  // namespace

ProcessSize process_size(Process& process) {
  Ref<AddressSpace> space = process.shared_space();
  if (!space) return {};
  const SpaceStatistics memory = space->statistics();
  return {memory.mapped_pages, memory.resident_anonymous, memory.resident_file, memory.resident_shared,
          memory.swapped,      memory.page_table_pages};
}

uint32_t memory_score(Process& process) {
  const int32_t adjustment = process.memory_adjustment_.load(memory_order_relaxed);
  if (adjustment == kLeastAdjustment || process.pid() == 1) return 0;
  const int64_t points = 1000 + adjusted(process_size(process), adjustment) * 1000 / static_cast<int64_t>(all_memory());
  return points > 0 ? static_cast<uint32_t>(points * 2 / 3) : 0;
}

MemoryEater::MemoryEater() { current_process().eats_memory_.store(true, memory_order_relaxed); }
MemoryEater::~MemoryEater() { current_process().eats_memory_.store(false, memory_order_relaxed); }

bool may_use_last_frames() {
  Thread* self = static_cast<Thread*>(machine::current_thread_pointer());
  return !self || self->is_kernel_thread() || running_process_gives_back();
}

bool running_process_gives_back() {
  Thread* self = static_cast<Thread*>(machine::current_thread_pointer());
  // One that was bringing memory back from swap would go on until none is left.
  if (!self || self->is_kernel_thread() || !self->process().ending_) return false;
  // Failures that were asked for would go on, whatever is there.
  return !self->process().eats_memory_.load(memory_order_relaxed) && self->injection.failures == 0;
}

bool memory_ran_out() {
  // Failures that were asked for (kernel/fault_injection.h) are this thread's alone: nobody's memory would help.
  if (fatal_signal_is_pending() || running_thread().injection.failures != 0) return false;
  if (is_looking.exchange(true, memory_order_acquire)) {
    pause();
    return !fatal_signal_is_pending();
  }
  const bool somebody_ends = find_ending() || end_somebody();
  is_looking.store(false, memory_order_release);
  if (!somebody_ends) return false;
  if (Ref<Process> ending = find_ending()) wait_for_end(*ending);
  return !fatal_signal_is_pending();
}

}  // namespace faultline
