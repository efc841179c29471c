// /proc/PID/status: the same in words.
#include "arch/cpu.h"
#include "fs/descriptor_table.h"
#include "fs/namespace.h"
#include "kernel/proc/contents.h"
#include "kernel/time_internal.h"

namespace faultline {

namespace {

StringView state_words(char letter) {
  switch (letter) {
    case 'R': return "R (running)";
    case 'S': return "S (sleeping)";
    case 'D': return "D (disk sleep)";
    case 'T': return "T (stopped)";
    case 'Z': return "Z (zombie)";
  }
  return "X (dead)";
}

// What is told of one thread, or of the main one for the whole process.
struct ThreadView {
  char name[Thread::kNameLimit] = {};
  char state = 'Z';
  SignalSet pending = 0, blocked = 0;
  CpuMask allowed = 0;
  ResourceUsage usage;
};

ThreadView view_of(Process& process, uint32_t thread_id) {
  ThreadView view;
  if (thread_id == 0) view.usage = process.usage();
  InterruptLockGuard table(process_table_lock);
  view.state = proc_state_letter_locked(process);
  memcpy(view.name, process.name(), sizeof view.name);
  for (Thread& thread : process.threads_) {
    if (thread_id != 0 ? thread.id() != thread_id : &thread != process.main_thread_) continue;
    view.allowed = thread.allowed_cpus & (cpu_bit(cpu_count()) - 1);
    InterruptLockGuard guard(process.signal_lock_);
    view.pending = thread.pending.set();
    view.blocked = thread.signal_mask;
    if (thread_id == 0) continue;
    memcpy(view.name, thread.name, sizeof view.name);
    if (process.state_ != ProcessState::kStopped) view.state = proc_state_letter(thread);
    view.usage = thread_usage(thread);
  }
  return view;
}

void put_identity(FormatSink& sink, Process& process, uint32_t thread_id, const ThreadView& view) {
  Credentials who;
  {
    LockGuard guard(process.lock_);
    who = process.credentials_;
  }
  format(sink, "Name:\t{}\n", view.name);
  if (Ref<NameContext> names = process.shared_names()) format(sink, "Umask:\t{04o}\n", names->umask());
  format(sink, "State:\t{}\nTgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t0\n", state_words(view.state), process.pid(),
         thread_id ? thread_id : process.pid(), process.parent_pid());
  format(sink, "Uid:\t{}\t{}\t{}\t{}\n", who.uid, who.euid, who.suid, who.fsuid);
  format(sink, "Gid:\t{}\t{}\t{}\t{}\n", who.gid, who.egid, who.sgid, who.fsgid);
  uint32_t descriptors = 0;
  if (Ref<DescriptorTable> table = process.shared_descriptors()) {
    for (uint32_t next = table->next_open(0); next < DescriptorTable::kLimit; next = table->next_open(next + 1)) descriptors = next + 1;
    descriptors = align_up(descriptors, 64u);
    if (descriptors == 0) descriptors = 64;
  }
  format(sink, "FDSize:\t{}\nGroups:\t", descriptors);
  for (uint32_t i = 0; i < who.group_count; i++) format(sink, "{} ", who.groups[i]);
  sink.put("\n");
}

void put_memory(FormatSink& sink, Process& process) {
  Ref<AddressSpace> space = process.shared_space();
  if (!space) return;
  SpaceStatistics memory = space->statistics();
  auto line = [&sink](StringView name, uint64_t pages) {
    sink.put(name);
    format(sink, ":\t{8} kB\n", proc_kilobytes(pages));
  };
  uint32_t resident = memory.resident_anonymous + memory.resident_file + memory.resident_shared;
  line("VmSize", memory.mapped_pages);
  line("VmLck", memory.locked_pages);
  line("VmHWM", memory.peak_resident > resident ? memory.peak_resident : resident);
  line("VmRSS", resident);
  line("RssAnon", memory.resident_anonymous);
  line("RssFile", memory.resident_file);
  line("RssShmem", memory.resident_shared);
  line("VmData", memory.data_pages);
  line("VmStk", memory.stack_pages);
  line("VmExe", memory.text_pages);
  line("VmPTE", memory.page_table_pages);
  line("VmSwap", memory.swapped);
}

void put_signals(FormatSink& sink, Process& process, const ThreadView& view) {
  SignalSet shared = 0, ignored = 0, caught = 0;
  {
    InterruptLockGuard guard(process.signal_lock_);
    shared = process.pending_.set();
    for (uint32_t number = 1; process.handlers_ && number <= 64; number++) {
      Signal signal = static_cast<Signal>(number);
      uint32_t handler = process.handlers_->action(signal).handler;
      if (handler == SignalAction::kIgnore)
        ignored |= signal_bit(signal);
      else if (handler != SignalAction::kDefault)
        caught |= signal_bit(signal);
    }
  }
  format(sink, "Threads:\t{}\n", process.thread_count());
  format(sink, "SigPnd:\t{016x}\nShdPnd:\t{016x}\nSigBlk:\t{016x}\nSigIgn:\t{016x}\nSigCgt:\t{016x}\n", view.pending, shared, view.blocked,
         ignored, caught);
}

}  // namespace

Result<void> proc_show_status(const ProcContext& context, FormatSink& sink) {
  Ref<Process> process = TRY(proc_process(context));
  const ThreadView view = view_of(*process, context.item);
  put_identity(sink, *process, context.item, view);
  put_memory(sink, *process);
  put_signals(sink, *process, view);
  format(sink, "NoNewPrivs:\t{}\nCpus_allowed:\t{x}\n", process->no_new_privileges_ ? 1 : 0, view.allowed);
  format(sink, "voluntary_ctxt_switches:\t{}\nnonvoluntary_ctxt_switches:\t{}\n", view.usage.voluntary_switches,
         view.usage.involuntary_switches);
  return {};
}

}  // namespace faultline
