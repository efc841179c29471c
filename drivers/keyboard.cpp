// PS/2 keyboard. Controller: the 8042's commands as in IBM's PS/2 technical reference.
#include "drivers/keyboard.h"

#include "arch/interrupt.h"
#include "arch/port_io.h"
#include "drivers/keyboard_decoder.h"
#include "drivers/vga_text.h"
#include "lib/log.h"

namespace faultline {

namespace {

constexpr uint16_t kData = 0x60, kStatus = 0x64, kCommand = 0x64;
constexpr uint8_t kOutputFull = 1, kInputFull = 2, kFromMouse = 0x20;
constexpr uint8_t kReadConfiguration = 0x20, kWriteConfiguration = 0x60, kEnableKeyboard = 0xae;
constexpr uint8_t kInterruptOn = 1, kClockOff = 0x10, kTranslate = 0x40;
constexpr uint32_t kLine = 1, kPatience = 10000;

constinit KeyboardDecoder decoder;  // the interrupt handler's

bool wait_for(uint8_t mask, uint8_t wanted) {
  for (uint32_t i = 0; i < kPatience; i++)
    if ((port_read8(kStatus) & mask) == wanted) return true;
  return false;
}
bool send_command(uint8_t command) {
  if (!wait_for(kInputFull, 0)) return false;
  port_write8(kCommand, command);
  return true;
}
void discard_waiting() {
  for (uint32_t i = 0; i < 16 && (port_read8(kStatus) & kOutputFull); i++) port_read8(kData);
}

// One interrupt may stand for several bytes; those of a mouse, which nobody asked to talk, are dropped.
void interrupted(void*) {
  for (uint32_t i = 0; i < 16; i++) {
    uint8_t status = port_read8(kStatus);
    if (!(status & kOutputFull)) return;
    uint8_t code = port_read8(kData);
    if (status & kFromMouse) continue;
    uint8_t bytes[KeyboardDecoder::kMaxBytes];
    size_t count = decoder.decode(code, vga_text_wants_application_keys(), bytes);
    if (count > 0) vga_text_typed({bytes, count});
  }
}

}  // namespace

void keyboard_initialize() {
  if (port_read8(kStatus) == 0xff) return;
  discard_waiting();
  if (!send_command(kReadConfiguration) || !wait_for(kOutputFull, kOutputFull)) return;
  uint8_t configuration = port_read8(kData);
  configuration = static_cast<uint8_t>((configuration | kInterruptOn | kTranslate) & ~kClockOff);
  if (!send_command(kWriteConfiguration) || !wait_for(kInputFull, 0)) return;
  port_write8(kData, configuration);
  send_command(kEnableKeyboard);
  if (!interrupt_install(kLine, InterruptTrigger::kEdgeHigh, &interrupted, nullptr).ok()) log(LogLevel::kError, "keyboard: no interrupt");
  discard_waiting();
}

}  // namespace faultline
