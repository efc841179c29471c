// execve: see exec.h. The order of things (lectures B1): name → inode → header → segments → stack → switch → the old image goes.
#include "kernel/exec.h"

#include "fs/descriptor_table.h"
#include "fs/namespace.h"
#include "kernel/calls.h"
#include "kernel/fault_watch.h"
#include "kernel/io_uring/ring_user.h"
#include "kernel/scheduler.h"
#include "kernel/signal_internal.h"
#include "kernel/time_internal.h"
#include "kernel/vdso.h"

namespace faultline {

namespace {

constexpr uint32_t kStartBytes = 256;  // what is looked at to tell what a file is
constexpr uint32_t kSetUid = 04000, kSetGid = 02000, kGroupExecute = 010;

struct Opened {
  Ref<File> file;
  uint8_t start[kStartBytes];
  size_t start_bytes = 0;
  std::span<const uint8_t> bytes() const { return {start, start_bytes}; }
};

Result<void> open_program(StringView name, Opened& opened) {
  Process& self = current_process();
  NameCaller caller{self.names(), self.credentials()};
  Path path = TRY(path_resolve(caller, name, FollowLast::kYes));
  if (path.inode()->type() != FileType::kRegular) return Errno::kACCES;
  TRY(path_permission(path, self.credentials(), kMayExecute));
  // Not path_open: a program need not be readable to be run.
  opened.file = TRY(path.inode()->open(kOpenReadOnly));
  opened.file->set_path(std::move(path));
  TRY(opened.file->begin_running());
  IoBuffer buffer = IoBuffer::kernel(opened.start, sizeof opened.start);
  opened.start_bytes = TRY(opened.file->read_at(0, buffer));
  return {};
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Splits "#! interpreter argument" (one argument, blanks inside included). The views point into `line`.
Result<void> parse_script(StringView line, StringView& interpreter, StringView& argument) {
  size_t end = line.find('\n');
  bool is_cut = end == StringView::kNotFound;
  if (is_cut) end = line.size();
  size_t at = 2;
  while (at < end && is_blank(line[at])) at++;
  size_t start = at;
  while (at < end && !is_blank(line[at]) && line[at] != '\0') at++;
  // Without a newline in the whole file, Linux takes the empty name for that of a directory.
  if (at == start) return is_cut && line.size() < kStartBytes ? Errno::kACCES : Errno::kNOEXEC;
  if (is_cut && at == end && line.size() == kStartBytes) return Errno::kNOEXEC;  // the name does not fit what we read
  interpreter = line.substring(start, at - start);
  while (at < end && is_blank(line[at])) at++;
  start = at;
  while (at < end && line[at] != '\0') at++;
  while (at > start && is_blank(line[at - 1])) at--;
  argument = line.substring(start, at - start);
  return {};
}

// The strings that scripts add; each keeps its text here.
struct ScriptTexts {
  char line[ScriptPrefix::kMaxDepth][kStartBytes];
};

Result<void> follow_scripts(StringView name, Opened& program, ScriptPrefix& prefix, Buffer<ScriptTexts>& texts) {
  StringView script = name;
  for (uint32_t depth = 0;; depth++) {
    if (program.start_bytes < 2 || program.start[0] != '#' || program.start[1] != '!') return {};
    if (depth == ScriptPrefix::kMaxDepth) return Errno::kLOOP;
    if (!texts.data()) texts = TRY(Buffer<ScriptTexts>::create(1));
    char* line = texts[0].line[depth];
    memcpy(line, program.start, program.start_bytes);
    StringView interpreter, argument;
    TRY(parse_script(StringView(line, program.start_bytes), interpreter, argument));
    prefix.strings[prefix.count++] = script;
    if (!argument.empty()) prefix.strings[prefix.count++] = argument;
    prefix.strings[prefix.count++] = interpreter;
    program = Opened();
    TRY(open_program(interpreter, program));
    script = interpreter;
  }
}

// Prefixes are built from the outside inwards, but argv has the innermost interpreter first and each script right after its own.
// A script's name, as an argument of its interpreter, is given once: the interpreter string of the level above is the same name.
void drop_repeated_names(ScriptPrefix& prefix) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < prefix.count; i++) {
    bool repeats = i + 1 < prefix.count && prefix.strings[i].data() == prefix.strings[i + 1].data();
    if (!repeats) prefix.strings[kept++] = prefix.strings[i];
  }
  prefix.count = kept;
}

struct NewIdentity {
  Credentials credentials;
  uint32_t personality = 0;
  bool changed = false;
};

NewIdentity identity_for(const Process& self, File& file) {
  NewIdentity result{self.credentials(), self.personality_, false};
  Credentials& who = result.credentials;
  Attributes attributes = file.inode()->attributes();
  if (!self.no_new_privileges_) {
    if (attributes.mode & kSetUid) who.euid = attributes.uid;
    if ((attributes.mode & (kSetGid | kGroupExecute)) == (kSetGid | kGroupExecute)) who.egid = attributes.gid;
  }
  result.changed = who.euid != self.credentials().euid || who.egid != self.credentials().egid;
  if (result.changed) result.personality &= ~kPersonalityClearedForIdentity;
  who.suid = who.fsuid = who.euid;
  who.sgid = who.fsgid = who.egid;
  return result;
}

// Other threads of the process end; this one becomes its only and main one.
Result<void> become_only_thread(Process& process) {
  Thread& self = running_thread();
  if (process.thread_count_ <= 1) return {};
  return thread_kill_others(process, self);
}

void set_name(Process& process, StringView path) {
  StringView name = path;
  for (size_t slash; (slash = name.find('/')) != StringView::kNotFound;) name = name.substring(slash + 1);
  size_t length = name.size() < Thread::kNameLimit - 1 ? name.size() : Thread::kNameLimit - 1;
  Thread& self = running_thread();
  memset(self.name, 0, sizeof self.name);
  memcpy(self.name, name.data(), length);
  memcpy(process.name_, self.name, sizeof process.name_);
}

// What belongs to the old program and does not survive. Cannot fail.
void forget_old_program(Process& process, Thread& self) {
  process.descriptors().close_for_exec();
  posix_timers_end(process);
  {
    InterruptLockGuard guard(process.signal_lock_);
    process.handlers_->reset_caught();
  }
  self.alternate_stack = {};
  self.clear_child_tid = self.set_child_tid = 0;
  self.robust_list = 0;
  self.restart_deadline = 0;
  {
    InterruptLockGuard guard(priority_loans_lock);
    self.no_more_loans = false;
  }
  InterruptGuard interrupts_off;
  self.tls = {};
  context_load_tls(self.tls);
  float_state_initialize(self.float_state);
  float_state_restore(self.float_state);
}

// The point of no return.
void switch_program(Process& process, Ref<AddressSpace> space, const ProgramImage& image, Ref<File> file, const NewIdentity& identity) {
  uint32_t peak = process.space().peak_resident_pages();
  {
    LockGuard guard(process.lock_);
    if (peak > process.peak_resident_pages_) process.peak_resident_pages_ = peak;
    std::swap(process.space_, space);
    std::swap(process.executable_, file);
    process.layout_ = image.layout;
    process.credentials_ = identity.credentials;
    const Credentials& who = process.credentials_;
    process.personality_ = identity.personality | (image.reading_executes ? kReadImpliesExecute : 0);
    process.dumpable_ = !identity.changed && who.euid == who.uid && who.egid == who.gid;
  }
  scheduler_switch_space(process.space_.get());
  InterruptLockGuard guard(process_table_lock);
  process.has_executed_ = true;
  process.exit_signal_ = Signal::kChild;
  if (identity.changed) {
    process.parent_death_signal_ = Signal::kNone;
    fault_watch_leave_locked(running_thread());
  }
  if (Thread* waiter = std::exchange(process.vfork_waiter_, nullptr)) wake(*waiter);
}

Result<void> unshare_for_exec(Process& process) {
  if (process.descriptors_->reference_count() > 1) {
    Ref<DescriptorTable> own = TRY(process.descriptors_->copy());
    LockGuard guard(process.lock_);
    std::swap(process.descriptors_, own);
  }
  if (process.handlers_->reference_count() > 1) {
    Ref<SignalHandlers> own = TRY(process.handlers_->clone());
    InterruptLockGuard guard(process.signal_lock_);
    std::swap(process.handlers_, own);
  }
  return {};
}

}  // namespace

Result<void> exec_program(StringView name, const ExecStrings& strings) {
  Process& process = current_process();
  Thread& self = running_thread();
  Opened program;
  ScriptPrefix prefix;
  Buffer<ScriptTexts> texts;
  TRY(open_program(name, program));
  TRY(follow_scripts(name, program, prefix, texts));
  drop_repeated_names(prefix);

  NewIdentity identity = identity_for(process, *program.file);
  Ref<AddressSpace> space = TRY(AddressSpace::create());
  space->set_limits(process.limit(Resource::kStack), process.limit(Resource::kAddressSpace));
  ProgramImage image = TRY(elf_load(*space, program.file, program.bytes(), identity.personality));
  const Credentials& who = identity.credentials;
  VirtAddr stack = TRY(exec_build_stack(*space, strings, prefix, name, image, {who.uid, who.euid, who.gid, who.egid, identity.changed},
                                        process.limit(Resource::kStack)));
  TRY(vdso_map(*space));
  space->set_break_start(image.layout.break_start);
  space->set_reading_executes(image.reading_executes);
  TRY(become_only_thread(process));
  RingUser::end_current();
  TRY(unshare_for_exec(process));

  thread_release_words(self);
  switch_program(process, std::move(space), image, std::move(program.file), identity);
  forget_old_program(process, self);
  set_name(process, name);
  fault_injection_stop(self);
  trap_frame_initialize_user(self.frame(), image.entry, stack);
  self.frame().vector = kVectorSystemCall;
  self.add_work(kWorkFrame);
  return {};
}

Result<uint32_t> sys_execve(UserPtr<const char> path, UserPtr<uint32_t> arguments, UserPtr<uint32_t> environment) {
  Buffer<char> buffer = TRY(Buffer<char>::create(kPathLimit));
  StringView name = TRY(user_read_string({buffer.data(), buffer.size()}, path));
  ExecStrings strings;
  strings.user_arguments = arguments;
  strings.user_environment = environment;
  TRY(exec_program(name, strings));
  return 0u;
}

}  // namespace faultline
