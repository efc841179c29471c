// COM1 by polling (16550).
#include "drivers/early_serial.h"

#include "arch/port_io.h"

namespace faultline {

namespace {

constexpr uint16_t kPort = 0x3f8;
constexpr uint16_t kData = kPort, kInterruptEnable = kPort + 1, kLineControl = kPort + 3, kModemControl = kPort + 4,
                   kLineStatus = kPort + 5, kScratch = kPort + 7;
constexpr uint8_t kDivisorAccess = 0x80, k8N1 = 3, kReadyAndRequest = 3, kOut2 = 8, kTransmitEmpty = 0x20;
constexpr uint32_t kPatience = 200000;  // looks at a busy port before a character is dropped

constinit bool present = false;

void put(char character) {
  for (uint32_t looks = 0; looks < kPatience && !(port_read8(kLineStatus) & kTransmitEmpty); looks++) {
  }
  port_write8(kData, static_cast<uint8_t>(character));
}

}  // namespace

void early_serial_initialize() {
  port_write8(kScratch, 0x5a);
  present = port_read8(kScratch) == 0x5a;
  if (!present) return;
  // The FIFOs stay as they are: switching them forgets what was typed already, which is the driver's to read.
  port_write8(kInterruptEnable, 0);
  port_write8(kLineControl, kDivisorAccess);
  port_write8(kData, 1);  // 115,200 / 1
  port_write8(kInterruptEnable, 0);
  port_write8(kLineControl, k8N1);
  port_write8(kModemControl, kReadyAndRequest | kOut2);
}

void early_serial_put(StringView text) {
  if (!present) return;
  for (char character : text) {
    if (character == '\n') put('\r');
    put(character);
  }
}

}  // namespace faultline
