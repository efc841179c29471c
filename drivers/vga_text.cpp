// The text screen as a terminal: AnsiScreen draws, this copies rows that changed to the display's memory and moves its cursor.
// Registers: the VGA's CRT controller, index and data at 0x3D4.
#include "drivers/vga_text.h"

#include "arch/mmu.h"
#include "arch/port_io.h"
#include "drivers/keyboard.h"
#include "drivers/terminal/ansi_screen.h"
#include "drivers/terminal/byte_ring.h"
#include "drivers/terminal/input_thread.h"
#include "drivers/terminal/terminal_file.h"
#include "fs/character_device.h"
#include "lib/lock.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint16_t kIndex = 0x3d4, kData = 0x3d5;
constexpr uint8_t kCursorStart = 0x0a, kCursorHigh = 0x0e, kCursorLow = 0x0f, kCursorOff = 0x20;
constexpr PhysAddr kDisplayMemory(0xb8000);
constexpr uint32_t kMajor = 4;

uint8_t read_register(uint8_t index) {
  port_write8(kIndex, index);
  return port_read8(kData);
}
void write_register(uint8_t index, uint8_t value) {
  port_write8(kIndex, index);
  port_write8(kData, value);
}

bool is_display_present() {
  uint8_t before = read_register(kCursorLow);
  bool present = true;
  for (uint8_t pattern : {0x5a, 0xa5}) {
    write_register(kCursorLow, pattern);
    present = present && read_register(kCursorLow) == pattern;
  }
  write_register(kCursorLow, before);
  return present;
}

class VgaScreen final : public TerminalPort, public TerminalInputSource {
 public:
  explicit VgaScreen(volatile uint16_t* memory) : memory_(memory), terminal_(*this, {kMajor, 1}, kSaneTermios) {
    terminal_.set_window_size({AnsiScreen::kRows, AnsiScreen::kColumns});
    show();
  }
  Terminal& terminal() { return terminal_; }
  bool wants_application_keys() const { return application_keys_.load(memory_order_relaxed); }
  void typed(std::span<const uint8_t> bytes);

  // The display takes everything at once; the terminal's mutex serialises.
  size_t transmit(std::span<const uint8_t> bytes) override;
  size_t transmit_room() override { return paused_.load(memory_order_relaxed) ? 0 : 4096; }
  size_t transmit_pending() override { return 0; }
  bool is_ready_to_transmit() override { return !paused_.load(memory_order_relaxed); }
  void transmit_discard() override {}
  void transmit_pause(bool paused) override;
  void input_wanted() override { terminal_input_arrived(); }
  void deliver_input() override;

 private:
  void show();

  volatile uint16_t* const memory_;
  AnsiScreen screen_;  // guarded by the terminal's mutex
  Terminal terminal_;
  Atomic<bool> paused_{false}, application_keys_{false};
  InterruptSpinLock<LockRank::kDevice> lock_;
  ByteRing<1024> typed_ GUARDED_BY(lock_);
};

constinit Atomic<VgaScreen*> screen{nullptr};

size_t VgaScreen::transmit(std::span<const uint8_t> bytes) {
  if (paused_.load(memory_order_relaxed)) return 0;
  screen_.put(bytes);
  show();
  application_keys_.store(screen_.wants_application_keys(), memory_order_relaxed);
  uint8_t reply[32];
  size_t count = screen_.take_reply(reply);
  if (count > 0) typed({reply, count});
  return bytes.size();
}

void VgaScreen::show() {
  uint32_t changed = screen_.take_changed_rows();
  for (uint32_t row = 0; row < AnsiScreen::kRows; row++) {
    if (!(changed & 1u << row)) continue;
    std::span<const ScreenCell, AnsiScreen::kColumns> cells = screen_.row(row);
    for (uint32_t column = 0; column < AnsiScreen::kColumns; column++) memory_[row * AnsiScreen::kColumns + column] = cells[column];
  }
  uint32_t place = screen_.cursor_row() * AnsiScreen::kColumns + screen_.cursor_column();
  write_register(kCursorHigh, static_cast<uint8_t>(place >> 8));
  write_register(kCursorLow, static_cast<uint8_t>(place));
  uint8_t start = read_register(kCursorStart);
  uint8_t wanted = screen_.is_cursor_visible() ? start & ~kCursorOff : start | kCursorOff;
  if (wanted != start) write_register(kCursorStart, wanted);
}

void VgaScreen::transmit_pause(bool paused) {
  paused_.store(paused, memory_order_relaxed);
  if (!paused) terminal_.output_progressed();
}

void VgaScreen::typed(std::span<const uint8_t> bytes) {
  {
    InterruptLockGuard guard(lock_);
    if (typed_.room() >= bytes.size()) typed_.put(bytes);  // else nobody reads: the key is lost whole
  }
  terminal_input_arrived();
}

void VgaScreen::deliver_input() {
  for (;;) {
    uint8_t bytes[64];
    size_t count;
    {
      InterruptLockGuard guard(lock_);
      count = typed_.peek(bytes);
    }
    if (count == 0) return;
    size_t taken = terminal_.receive({bytes, count}, Terminal::EchoWhenFull::kDrop);
    InterruptLockGuard guard(lock_);
    typed_.drop(taken);
    if (taken < count) return;
  }
}

// /dev/tty0 is the screen in front, of which there is one.
Result<Ref<File>> open_current(Ref<Inode> inode, DeviceNumber, uint32_t flags) {
  VgaScreen* current = screen.load(memory_order_acquire);
  if (!current) return Errno::kNXIO;
  return terminal_open(Ref<Terminal>(current->terminal()), std::move(inode), flags | kOpenNoControllingTty, TerminalOpen::kOrdinary);
}

}  // namespace

Result<void> vga_text_initialize() {
  if (!is_display_present()) return {};
  auto* memory = static_cast<volatile uint16_t*>(mmu_map_device(kDisplayMemory, AnsiScreen::kRows * AnsiScreen::kColumns * 2));
  if (!memory) return Errno::kNOMEM;
  VgaScreen* made = TRY(slab_new<VgaScreen>(memory));
  screen.store(made, memory_order_release);
  terminal_input_register(*made);
  TRY(terminal_register("tty1", made->terminal()));
  TRY(character_device_register("tty0", {kMajor, 0}, 0620, &open_current));
  keyboard_initialize();
  return {};
}

bool vga_text_wants_application_keys() {
  VgaScreen* current = screen.load(memory_order_acquire);
  return current && current->wants_application_keys();
}

void vga_text_typed(std::span<const uint8_t> bytes) {
  if (VgaScreen* current = screen.load(memory_order_acquire)) current->typed(bytes);
}

}  // namespace faultline
