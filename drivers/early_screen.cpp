// Straight into the VGA's text memory. Registers: the CRT controller's cursor place, read back to see whether there is one.
#include "drivers/early_screen.h"

#include "arch/mmu.h"
#include "arch/port_io.h"

namespace faultline {

namespace {

constexpr uint16_t kIndex = 0x3d4, kData = 0x3d5;
constexpr uint8_t kCursorLow = 0x0f, kPattern = 0x5a;
constexpr FrameNumber kDisplayMemory(0xb8);
constexpr uint32_t kColumns = 80, kRows = 25;
constexpr uint16_t kWhiteOnRed = 0x4f00, kBlank = kWhiteOnRed | ' ';

constinit uint32_t row = 0, column = 0;
constinit bool has_begun = false;

bool is_display_present() {
  port_write8(kIndex, kCursorLow);
  port_write8(kData, kPattern);
  return port_read8(kData) == kPattern;
}

void next_line(volatile uint16_t* cells) {
  column = 0;
  if (++row < kRows) return;
  row = kRows - 1;
  for (uint32_t i = 0; i < row * kColumns; i++) cells[i] = cells[i + kColumns];
  for (uint32_t i = 0; i < kColumns; i++) cells[row * kColumns + i] = kBlank;
}

}  // namespace

void early_screen_put(StringView text) {
  if (!is_display_present()) return;
  auto* cells = static_cast<volatile uint16_t*>(direct_map(kDisplayMemory));
  if (!has_begun)
    for (uint32_t i = 0; i < kRows * kColumns; i++) cells[i] = kBlank;
  has_begun = true;
  for (char c : text) {
    if (c == '\n' || column == kColumns) next_line(cells);
    if (c != '\n') cells[row * kColumns + column++] = kWhiteOnRed | static_cast<uint8_t>(c);
  }
}

}  // namespace faultline
