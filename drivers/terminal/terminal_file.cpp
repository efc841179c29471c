// Open files of terminals, and the table of the terminals that last as long as the machine.
#include "drivers/terminal/terminal_file.h"

#include "fs/character_device.h"
#include "mm/slab.h"

namespace faultline {

namespace {

class TerminalFile final : public File {
 public:
  TerminalFile(Ref<Terminal> terminal, Ref<Inode> inode, uint32_t flags, TerminalOpen how)
      : File(std::move(inode), flags), terminal_(std::move(terminal)),
        generation_(how == TerminalOpen::kConsole ? Terminal::kNeverHungUp : terminal_->hangup_generation()) {}
  ~TerminalFile() override { terminal_->closed(); }

  Result<size_t> read(IoBuffer& buffer) override { return terminal_->read(buffer, may_not_wait(buffer), generation_); }
  Result<size_t> write(IoBuffer& buffer) override { return terminal_->write(buffer, may_not_wait(buffer), generation_); }
  uint32_t poll(PollTable* table) override { return terminal_->poll(table, generation_); }
  Result<uint32_t> ioctl(uint32_t request, uint32_t argument) override { return terminal_->ioctl(request, argument, generation_); }

 private:
  void last_reference_gone() override { slab_delete(this); }
  Ref<Terminal> terminal_;
  const uint32_t generation_;
};

constexpr uint32_t kMaxRegistered = 8;
struct Registered {
  StringView name;
  Terminal* terminal = nullptr;
};
// Written at boot only.
constinit Registered registered[kMaxRegistered];
constinit uint32_t registered_count = 0;
constinit Terminal* console_terminal = nullptr;

Result<Ref<File>> open_registered(Ref<Inode> inode, DeviceNumber number, uint32_t flags) {
  for (uint32_t i = 0; i < registered_count; i++) {
    Terminal& terminal = *registered[i].terminal;
    if (terminal.number().encode() != number.encode()) continue;
    return terminal_open(Ref<Terminal>(terminal), std::move(inode), flags, TerminalOpen::kOrdinary);
  }
  return Errno::kNXIO;
}

Result<Ref<File>> open_tty(Ref<Inode> inode, DeviceNumber, uint32_t flags) {
  Ref<Terminal> terminal = terminal_of_session(job_caller().session);
  if (!terminal) return Errno::kNXIO;
  return terminal_open(std::move(terminal), std::move(inode), flags, TerminalOpen::kTty);
}

Result<Ref<File>> open_console(Ref<Inode> inode, DeviceNumber, uint32_t flags) {
  if (!console_terminal) return Errno::kNXIO;
  return terminal_open(Ref<Terminal>(*console_terminal), std::move(inode), flags, TerminalOpen::kConsole);
}

}  // namespace

Result<Ref<File>> terminal_open(Ref<Terminal> terminal, Ref<Inode> inode, uint32_t flags, TerminalOpen how) {
  JobIdentity caller = job_caller();
  TRY(terminal->opened(caller));
  Result<TerminalFile*> file = slab_new<TerminalFile>(terminal, std::move(inode), flags, how);
  if (!file.ok()) {
    terminal->closed();
    return file.error();
  }
  bool readable = (flags & kOpenAccessMode) != kOpenWriteOnly;
  if (how == TerminalOpen::kOrdinary && !(flags & kOpenNoControllingTty) && readable) terminal->acquire_if_free(caller);
  return Ref<File>(Ref<TerminalFile>::adopt(file.value()));
}

Result<void> terminal_register(StringView name, Terminal& terminal) {
  if (registered_count == kMaxRegistered) return Errno::kNOMEM;
  TRY(character_device_register(name, terminal.number(), 0620, &open_registered));
  registered[registered_count++] = {name, &terminal};
  return {};
}

Terminal* terminal_find(StringView name) {
  for (uint32_t i = 0; i < registered_count; i++)
    if (registered[i].name == name) return registered[i].terminal;
  return nullptr;
}

Result<void> terminal_register_standard(StringView console) {
  console_terminal = terminal_find(console);
  if (!console_terminal && registered_count > 0) console_terminal = registered[0].terminal;
  TRY(character_device_register("tty", {5, 0}, 0666, &open_tty));
  return character_device_register("console", {5, 1}, 0600, &open_console);
}

}  // namespace faultline
