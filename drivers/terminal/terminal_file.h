// Open files of terminals: /dev/ttyS0, /dev/tty1, /dev/pts/N, and /dev/tty and /dev/console, which lead to one of them.
#pragma once

#include "drivers/terminal/terminal.h"
#include "fs/file.h"

namespace faultline {

enum class TerminalOpen : uint8_t {
  kOrdinary,  // becomes the controlling terminal of a session leader that has none
  kTty,       // /dev/tty: is it already
  kConsole,   // never becomes it by open, and survives hang-ups, as process 1's descriptors must
};

// A new file of the terminal. Errors: kNOMEM, kBUSY (exclusive mode). Sleeps.
Result<Ref<File>> terminal_open(Ref<Terminal> terminal, Ref<Inode> inode, uint32_t flags, TerminalOpen how);

// Makes /dev/NAME lead to the terminal, for ever; `name` too must live for ever. Boot only. kNOMEM.
Result<void> terminal_register(StringView name, Terminal& terminal);
// The terminal registered under the name, or null.
Terminal* terminal_find(StringView name);
// Registers /dev/tty and /dev/console; the latter leads to `console`, or the first terminal that was registered.
Result<void> terminal_register_standard(StringView console);

}  // namespace faultline
