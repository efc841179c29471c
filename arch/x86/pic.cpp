// The 8259A pair (Intel data sheet 231468): fully nested mode, ended explicitly.
#include "arch/x86/pic.h"

#include "arch/port_io.h"
#include "arch/x86/selectors.h"

namespace faultline {

namespace {

constexpr uint16_t kMasterCommand = 0x20, kMasterData = 0x21, kSlaveCommand = 0xa0, kSlaveData = 0xa1;
constexpr uint8_t kInitialize = 0x11, kCascadeLine = 2, kMode8086 = 1, kReadInService = 0x0b, kEnd = 0x20;
constexpr uint32_t kSpuriousMaster = 7, kSpuriousSlave = 15;

// A set bit is a line that stays silent. Boot only, so unlocked.
constinit uint16_t masked = 0xffff;

void write_masks() {
  port_write8(kMasterData, static_cast<uint8_t>(masked));
  port_write8(kSlaveData, static_cast<uint8_t>(masked >> 8));
}

bool in_service(uint16_t command_port) {
  port_write8(command_port, kReadInService);
  return port_read8(command_port) & 0x80;
}

}  // namespace

void pic_initialize() {
  port_write8(kMasterCommand, kInitialize);
  port_write8(kSlaveCommand, kInitialize);
  port_write8(kMasterData, VECTOR_FIRST_INTERRUPT);
  port_write8(kSlaveData, VECTOR_FIRST_INTERRUPT + 8);
  port_write8(kMasterData, 1 << kCascadeLine);
  port_write8(kSlaveData, kCascadeLine);
  port_write8(kMasterData, kMode8086);
  port_write8(kSlaveData, kMode8086);
  write_masks();
}

void pic_unmask(uint32_t line) {
  masked = static_cast<uint16_t>(masked & ~(1u << line));
  if (line >= 8) masked = static_cast<uint16_t>(masked & ~(1u << kCascadeLine));
  write_masks();
}

bool pic_acknowledge(uint32_t line) {
  if (line == kSpuriousMaster && !in_service(kMasterCommand)) return false;
  if (line == kSpuriousSlave && !in_service(kSlaveCommand)) {
    port_write8(kMasterCommand, kEnd);  // the cascade itself was real
    return false;
  }
  if (line >= 8) port_write8(kSlaveCommand, kEnd);
  port_write8(kMasterCommand, kEnd);
  return true;
}

}  // namespace faultline
