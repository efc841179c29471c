// The first process: made by hand, out of nothing that could be copied; everybody else descends from it.
#include "arch/clock.h"
#include "fs/descriptor_table.h"
#include "fs/namespace.h"
#include "kernel/boot_information.h"
#include "kernel/exec.h"
#include "kernel/pid.h"
#include "kernel/process.h"
#include "kernel/scheduler.h"
#include "kernel/signal_internal.h"
#include "kernel/time_internal.h"
#include "lib/log.h"

namespace faultline {

namespace {

constexpr uint32_t kMaxArguments = 16;

struct FirstProgram {
  StringView path;
  StringView arguments;
};

// Splits at blanks; the pieces are terminated in `text`.
uint32_t split(char* text, const char* (&pieces)[kMaxArguments], uint32_t count) {
  while (*text && count < kMaxArguments) {
    while (*text == ' ') *text++ = '\0';
    if (!*text) break;
    pieces[count++] = text;
    while (*text && *text != ' ') text++;
  }
  return count;
}

void copy_text(char* destination, size_t room, StringView text) {
  size_t length = text.size() < room - 1 ? text.size() : room - 1;
  memcpy(destination, text.data(), length);
  destination[length] = '\0';
}

Result<void> open_console(Process& process) {
  NameCaller caller{process.names(), process.credentials()};
  Ref<File> console = TRY(path_open(caller, "/dev/console", kOpenReadWrite, 0));
  for (int i = 0; i < 3; i++) TRY(process.descriptors().add(console, CloseOnExec::kNo, 3));
  return {};
}

// Runs as process 1, still in the kernel: becomes the program, or there is none.
void first_thread(void* context) {
  const auto& program = *static_cast<FirstProgram*>(context);
  Process& process = current_process();
  scheduler_switch_space(&process.space());
  Result<void> console = open_console(process);
  if (!console.ok()) log(LogLevel::kWarning, "no /dev/console: error {}", static_cast<uint32_t>(console.error()));

  static char path[128], arguments[512];  // one thread, once; too big for its stack
  copy_text(path, sizeof path, program.path);
  copy_text(arguments, sizeof arguments, program.arguments);
  const char* argv[kMaxArguments] = {path};
  uint32_t count = split(arguments, argv, 1);
  static constexpr const char* kEnvironment[] = {"HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"};
  ExecStrings strings;
  strings.in_kernel = true;
  strings.kernel_arguments = std::span<const char* const>(argv, count);
  strings.kernel_environment = kEnvironment;
  Result<void> result = exec_program(path, strings);
  if (!result.ok()) {
    log(LogLevel::kError, "cannot run {} as process 1: error {}", path, static_cast<uint32_t>(result.error()));
    PANIC("no init program; try init=/bin/sh");
  }
  log(LogLevel::kNotice, "boot: {} cycles from entry to process 1", clock_cycles() - boot_information().entered_at);
  (void)machine::interrupts_save_and_disable();
  trap_return_to_user(&running_thread().frame());
}

Result<void> make_first_process(FirstProgram& program) {
  Ref<Process> process = Ref<Process>::adopt(TRY(slab_new<Process>()));
  process->handlers_ = TRY(SignalHandlers::create());
  process->names_ = TRY(NameContext::create(root_path()));
  process->descriptors_ = TRY(DescriptorTable::create());
  process->space_ = TRY(AddressSpace::create());
  process->start_time_ = clock_monotonic();
  memcpy(process->name_, "init", 5);
  Thread* thread = TRY(Thread::create(process.get(), &first_thread, &program));
  float_state_initialize(thread->float_state);
  memcpy(thread->name, "init", 5);
  {
    InterruptLockGuard guard(process_table_lock);
    Result<uint32_t> pid = pid_allocate_locked(*process);
    ASSERT(pid.ok() && pid.value() == 1);
    process->pid_ = 1;
    thread->set_id(1, pid_identity_locked(1));
    // Nobody waits for it: it leads a session and group 0 until it makes its own.
    process->threads_.push_back(*thread);
    process->thread_count_ = 1;
    process->main_thread_ = thread;
    pid_acquire_locked(0);
    pid_acquire_locked(0);
    all_processes().push_back(*process);
    process->acquire();
  }
  scheduler_start(*thread);
  return {};
}

}  // namespace

void process_start_first(StringView path, StringView arguments) {
  scheduler_start_load_averages();
  static FirstProgram program;
  program = {path, arguments};
  if (!make_first_process(program).ok()) PANIC("no memory for process 1");
}

}  // namespace faultline
