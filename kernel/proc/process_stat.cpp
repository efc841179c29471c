// /proc/PID/stat and statm: the numbers that ps and top read.
#include "drivers/terminal/terminal.h"
#include "kernel/proc/contents.h"
#include "kernel/scheduler.h"
#include "kernel/time_internal.h"

namespace faultline {

char proc_state_letter(const Thread& thread) {
  switch (thread.state) {
    case ThreadState::kNew:
    case ThreadState::kRunning:
    case ThreadState::kRunnable: return 'R';
    case ThreadState::kDead: return 'X';
    case ThreadState::kSleeping: break;
  }
  return thread.sleep_kind == SleepKind::kUninterruptible ? 'D' : 'S';
}

char proc_state_letter_locked(const Process& process) {
  const Thread* first = process.main_thread_;
  if (process.state_ == ProcessState::kZombie || !first || first->id() != process.pid_) return 'Z';
  return process.state_ == ProcessState::kStopped ? 'T' : proc_state_letter(*first);
}

namespace {

// What is read under process_table_lock, in one go.
struct StatView {
  char state = 'Z';
  uint32_t parent = 0, group = 0, session = 0, threads = 0;
  ResourceUsage usage, children;
  char name[Thread::kNameLimit] = {};
  int32_t nice = 0;
  uint32_t policy = 0, real_time_priority = 0;
  uint32_t cpu = 0, exit_signal = 0, exit_status = 0;
  SignalSet pending = 0, blocked = 0, ignored = 0, caught = 0;
};

void view_signals(Process& process, StatView& view) {
  InterruptLockGuard guard(process.signal_lock_);
  view.pending = process.pending_.set();
  if (!process.handlers_) return;
  for (uint32_t number = 1; number <= 64; number++) {
    Signal signal = static_cast<Signal>(number);
    uint32_t handler = process.handlers_->action(signal).handler;
    if (handler == SignalAction::kIgnore)
      view.ignored |= signal_bit(signal);
    else if (handler != SignalAction::kDefault)
      view.caught |= signal_bit(signal);
  }
}

// Of the whole process, or of one thread. kSRCH: no such thread.
Result<StatView> view_of(Process& process, uint32_t thread_id) {
  StatView view;
  if (thread_id == 0) view.usage = process.usage();
  InterruptLockGuard guard(process_table_lock);
  view.state = proc_state_letter_locked(process);
  view.parent = process.parent_ ? process.parent_->pid() : 0;
  view.group = process.group_;
  view.session = process.session_;
  view.threads = process.thread_count_;
  view.children = process.waited_children_;
  view.exit_signal = static_cast<uint32_t>(process.exit_signal_);
  view.exit_status = process.exit_status_;
  Thread* thread = thread_id == 0 ? process.main_thread_ : nullptr;
  for (Thread& each : process.threads_)
    if (each.id() == thread_id) thread = &each;
  if (thread_id != 0 && !thread && process.state_ != ProcessState::kZombie) return Errno::kSRCH;
  memcpy(view.name, process.name(), sizeof view.name);
  if (thread) {
    if (thread_id != 0) memcpy(view.name, thread->name, sizeof view.name);
    view.nice = thread->nice;
    view.policy = static_cast<uint32_t>(thread->policy);
    view.real_time_priority = thread->priority;
    view.cpu = thread->cpu.load(memory_order_relaxed);
    view.blocked = thread->signal_mask;
    if (thread_id != 0) {
      view.state = process.state_ == ProcessState::kStopped ? 'T' : proc_state_letter(*thread);
      view.usage = thread_usage(*thread);
    }
  }
  view_signals(process, view);
  return view;
}

void put(FormatSink& sink, uint64_t number) { format(sink, " {}", number); }

// Fields 23 to 28: sizes, and places in the program that only those may see who may inspect it.
void put_memory(FormatSink& sink, Process& process, const ProgramLayout& layout, uint64_t resident_limit) {
  SpaceStatistics memory{};
  if (Ref<AddressSpace> space = process.shared_space()) memory = space->statistics();
  put(sink, static_cast<uint64_t>(memory.mapped_pages) << kPageShift);
  put(sink, memory.resident_anonymous + memory.resident_file + memory.resident_shared);
  put(sink, resident_limit == kUnlimited ? 0xffffffffu : resident_limit);
  put(sink, layout.code_start.value());
  put(sink, layout.code_end.value());
  put(sink, layout.stack_start.value());
}

}  // namespace

Result<void> proc_show_stat(const ProcContext& context, FormatSink& sink) {
  Ref<Process> process = TRY(proc_process(context));
  StatView view = TRY(view_of(*process, context.item));
  uint32_t terminal_number = 0;
  int32_t foreground = -1;
  if (Ref<Terminal> terminal = terminal_of_session(view.session)) {
    terminal_number = static_cast<uint32_t>(terminal->number().encode());
    foreground = static_cast<int32_t>(terminal->control().foreground);
  }
  ProgramLayout layout = proc_may_inspect(*process) ? process->layout() : ProgramLayout{};
  format(sink, "{} ({}) {} {} {} {} {} {} 0", context.item ? context.item : process->pid(), view.name, view.state, view.parent, view.group,
         view.session, terminal_number, foreground);
  format(sink, " {} {} {} {}", view.usage.minor_faults, view.children.minor_faults, view.usage.major_faults, view.children.major_faults);
  format(sink, " {} {} {} {}", proc_ticks(view.usage.user_time), proc_ticks(view.usage.kernel_time), proc_ticks(view.children.user_time),
         proc_ticks(view.children.kernel_time));
  const int32_t priority = view.real_time_priority ? -1 - static_cast<int32_t>(view.real_time_priority) : 20 + view.nice;
  format(sink, " {} {} {} 0 {}", priority, view.nice, view.threads, proc_ticks(process->start_time()));
  put_memory(sink, *process, layout, process->limit(Resource::kResident));
  // The last 31 bits of the old signal sets; stack and instruction pointers and the wait channel are not told, as on Linux.
  auto old_set = [](SignalSet set) { return static_cast<uint32_t>(set) & 0x7fffffffu; };
  format(sink, " 0 0 {} {} {} {} 0 0 0 {} {} {} {} 0 0 0", old_set(view.pending), old_set(view.blocked), old_set(view.ignored),
         old_set(view.caught), view.exit_signal, view.cpu, view.real_time_priority, view.policy);
  format(sink, " {} {} {} {} {} {} {} {}\n", layout.data_start.value(), layout.data_end.value(), layout.break_start.value(),
         layout.arguments_start.value(), layout.arguments_end.value(), layout.environment_start.value(), layout.environment_end.value(),
         proc_may_inspect(*process) ? view.exit_status : 0);
  return {};
}

Result<void> proc_show_statm(const ProcContext& context, FormatSink& sink) {
  Ref<Process> process = TRY(proc_process(context));
  SpaceStatistics memory{};
  if (Ref<AddressSpace> space = process->shared_space()) memory = space->statistics();
  format(sink, "{} {} {} {} 0 {} 0\n", memory.mapped_pages, memory.resident_anonymous + memory.resident_file + memory.resident_shared,
         memory.resident_file + memory.resident_shared, memory.text_pages, memory.data_pages + memory.stack_pages);
  return {};
}

namespace {

// The thread of this number, or the main one for 0. kSRCH.
Result<Thread*> thread_locked(Process& process, uint32_t id) REQUIRES(process_table_lock) {
  for (Thread& thread : process.threads_)
    if (id == 0 ? &thread == process.main_thread_ : thread.id() == id) return &thread;
  return Errno::kSRCH;
}

}  // namespace

Result<void> proc_show_comm(const ProcContext& context, FormatSink& sink) {
  Ref<Process> process = TRY(proc_process(context));
  char name[Thread::kNameLimit];
  memcpy(name, process->name(), sizeof name);
  if (context.item != 0) {
    InterruptLockGuard guard(process_table_lock);
    Result<Thread*> thread = thread_locked(*process, context.item);
    if (thread.ok()) memcpy(name, thread.value()->name, sizeof name);  // a zombie has the process' name only
  }
  format(sink, "{}\n", name);
  return {};
}

// For the threads of one's own process only, as prctl(PR_SET_NAME) for the caller.
Result<void> proc_store_comm(const ProcContext& context, StringView text) {
  Ref<Process> process = TRY(proc_process(context));
  if (process.get() != &current_process()) return Errno::kINVAL;
  if (text.size() != 0 && text[text.size() - 1] == '\n') text = text.substring(0, text.size() - 1);
  char name[Thread::kNameLimit] = {};
  memcpy(name, text.data(), text.size() < sizeof name - 1 ? text.size() : sizeof name - 1);
  InterruptLockGuard guard(process_table_lock);
  Thread& thread = *TRY(thread_locked(*process, context.item));
  memcpy(thread.name, name, sizeof name);
  if (thread.id() == process->pid_) memcpy(process->name_, name, sizeof name);
  return {};
}

}  // namespace faultline
