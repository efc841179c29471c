// The 8254 (Intel data sheet 231164).
#include "arch/x86/pit.h"

#include "arch/port_io.h"

namespace faultline {

namespace {

constexpr uint16_t kChannel0 = 0x40, kChannel2 = 0x42, kMode = 0x43, kGate = 0x61;
constexpr uint8_t kOneShot0 = 0x30, kRate2 = 0xb4, kLatch2 = 0x80;  // both bytes; modes 0 and 2
constexpr uint8_t kGate2 = 1, kSpeaker = 2;

}  // namespace

void pit_start_once(uint32_t ticks) {
  port_write8(kMode, kOneShot0);
  port_write8(kChannel0, static_cast<uint8_t>(ticks));
  port_write8(kChannel0, static_cast<uint8_t>(ticks >> 8));
}

void pit_start_counter() {
  port_write8(kGate, static_cast<uint8_t>((port_read8(kGate) & ~kSpeaker) | kGate2));
  port_write8(kMode, kRate2);
  port_write8(kChannel2, 0);  // 65,536
  port_write8(kChannel2, 0);
}

uint32_t pit_elapsed_count() {
  port_write8(kMode, kLatch2);
  uint32_t low = port_read8(kChannel2);
  uint32_t count = low | static_cast<uint32_t>(port_read8(kChannel2)) << 8;
  return -count & 0xffff;
}

}  // namespace faultline
