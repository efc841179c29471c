// The order in which terminals come up: the first one registered is the console unless the boot option says otherwise.
#include "drivers/terminal/start.h"

#include "drivers/pty.h"
#include "drivers/serial.h"
#include "drivers/terminal/terminal_file.h"
#include "drivers/vga_text.h"

namespace faultline {

Result<void> terminals_initialize(StringView console) {
  TRY(serial_initialize());
  TRY(vga_text_initialize());
  TRY(pty_initialize());
  StringView name = console.substring(0, console.find(','));
  return terminal_register_standard(name == "tty0" ? StringView("tty1") : name);
}

}  // namespace faultline
