// Scan codes (set 1) of a PC keyboard with the US layout become the bytes that Linux's console sends. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline {

class KeyboardDecoder {
 public:
  static constexpr size_t kMaxBytes = 8;

  // One byte from the keyboard. Returns how many bytes of `result` a key press gave, mostly none or one.
  // `application_keys`: cursor keys send ESC O instead of ESC [.
  size_t decode(uint8_t code, bool application_keys, std::span<uint8_t, kMaxBytes> result);

  // The three lamps: bit 0 scroll lock, 1 num lock, 2 caps lock.
  uint8_t lamps() const { return static_cast<uint8_t>((num_lock_ ? 2 : 0) | (caps_lock_ ? 4 : 0)); }

 private:
  bool modifier(uint8_t key, bool extended, bool pressed);
  size_t character(uint8_t key, std::span<uint8_t, kMaxBytes> result);
  size_t keypad(uint8_t key, bool extended, bool application_keys, std::span<uint8_t, kMaxBytes> result);

  bool shift_left_ = false, shift_right_ = false, control_ = false, alt_ = false;
  bool caps_lock_ = false, num_lock_ = false;
  bool extended_ = false;        // 0xE0 came
  uint8_t pause_remaining_ = 0;  // bytes of the Pause key's sequence still to come
};

}  // namespace faultline
