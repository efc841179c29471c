// The root of /proc, and what its parts share.
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

bool next_process(const ProcContext&, uint32_t from, uint32_t& number) {
  Ref<Process> process = Process::next(from == 0 ? 1 : from);
  if (!process) return false;
  number = process->pid();
  return true;
}
bool process_exists(const ProcContext&, uint32_t number) { return static_cast<bool>(Process::find(number)); }
constexpr ProcDynamic kProcesses = {&kProcProcessNode, &next_process, &process_exists};

Result<void> link_self(const ProcContext&, FormatSink& sink) {
  format(sink, "{}", current_process().pid());
  return {};
}
Result<void> link_thread_self(const ProcContext&, FormatSink& sink) {
  format(sink, "{}/task/{}", current_process().pid(), running_thread().id());
  return {};
}
Result<void> link_mounts(const ProcContext&, FormatSink& sink) {
  sink.put("self/mounts");
  return {};
}
constexpr ProcNode kSelf = {.name = "self", .mode = kProcLink, .link = &link_self};
constexpr ProcNode kThreadSelf = {.name = "thread-self", .mode = kProcLink, .link = &link_thread_self};
constexpr ProcNode kMounts = {.name = "mounts", .mode = kProcLink, .link = &link_mounts};

}  // namespace

bool proc_may_inspect(Process& process) {
  const Process& caller = current_process();
  if (&process == &caller) return true;
  const Credentials& who = caller.credentials();
  if (who.is_superuser()) return true;
  LockGuard guard(process.lock_);
  const Credentials& target = process.credentials_;
  bool same_user = who.fsuid == target.uid && who.fsuid == target.euid && who.fsuid == target.suid;
  bool same_group = who.fsgid == target.gid && who.fsgid == target.egid && who.fsgid == target.sgid;
  return same_user && same_group && process.dumpable_;
}

Result<Ref<Process>> proc_inspectable_process(const ProcContext& context) {
  Ref<Process> process = TRY(proc_process(context));
  if (!proc_may_inspect(*process)) return Errno::kACCES;
  return process;
}

void proc_owner_of_process(const ProcContext& context, uint32_t& uid, uint32_t& gid) {
  uid = gid = 0;
  Ref<Process> process = Process::find(context.process);
  if (!process) return;
  LockGuard guard(process->lock_);
  if (!process->dumpable_) return;
  uid = process->credentials_.euid;
  gid = process->credentials_.egid;
}

void proc_put_escaped(FormatSink& sink, StringView text) {
  for (char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\\')
      format(sink, "\\{03o}", static_cast<uint32_t>(c));
    else
      sink.put({&c, 1});
  }
}

bool proc_take_number(StringView& text, uint32_t& number) {
  constexpr uint32_t kLargestNumber = 1'000'000'000;
  size_t digits = 0;
  number = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9' && number < kLargestNumber / 10; digits++)
    number = number * 10 + static_cast<uint32_t>(text[digits] - '0');
  text = text.substring(digits);
  return digits != 0;
}

void proc_contents_initialize() {
  proc_register_processes(kProcesses);
  proc_register(kSelf);
  proc_register(kThreadSelf);
  proc_register(kMounts);
  proc_register_memory();
  proc_register_swap();
  proc_register_processors();
  proc_register_devices();
  proc_register_settings();
  proc_register_network();
}

}  // namespace faultline
