// Scan code set 1 and the US layout. Codes: the tables in IBM's PS/2 technical reference.
#include "drivers/keyboard_decoder.h"

#include "lib/string.h"

namespace faultline {

namespace {

constexpr uint8_t kExtendedPrefix = 0xe0, kPausePrefix = 0xe1, kReleased = 0x80;
constexpr uint8_t kControl = 0x1d, kShiftLeft = 0x2a, kShiftRight = 0x36, kAlt = 0x38, kCapsLock = 0x3a, kNumLock = 0x45;

// Keys 0x00 to 0x39; 0: no character.
constexpr char kPlain[] =
    "\0\x1b"
    "1234567890-=\x7f\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
constexpr char kShifted[] = "\0\x1b!@#$%^&*()_+\x7f\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
constexpr uint8_t kCharacterKeys = 0x3a;
static_assert(sizeof kPlain == kCharacterKeys + 1 && sizeof kShifted == sizeof kPlain);
static_assert(kPlain[0x1c] == '\r' && kPlain[0x1e] == 'a' && kPlain[0x39] == ' ' && kShifted[0x35] == '?');

// Keys 0x47 to 0x53: what they are with Num Lock, and the final of their sequence (a letter, or a number before '~').
constexpr char kKeypadDigits[] = "789-456+1230.";
constexpr char kKeypadFinals[] = "1A5-D\0C+4B623";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

template <size_t kSize>
size_t copy(const char* text, std::span<uint8_t, kSize> result) {
  size_t length = strlen(text);
  memcpy(result.data(), text, length);
  return length;
}

}  // namespace

size_t KeyboardDecoder::decode(uint8_t code, bool application_keys, std::span<uint8_t, kMaxBytes> result) {
  if (pause_remaining_ > 0) {
    pause_remaining_--;
    return 0;
  }
  if (code == kPausePrefix) {
    pause_remaining_ = 2;
    return 0;
  }
  if (code == kExtendedPrefix) {
    extended_ = true;
    return 0;
  }
  bool extended = extended_, pressed = !(code & kReleased);
  extended_ = false;
  uint8_t key = code & ~kReleased;
  if (modifier(key, extended, pressed) || !pressed) return 0;
  if (key >= 0x47 && key <= 0x53) return keypad(key, extended, application_keys, result);
  if (extended && key != 0x1c && key != 0x35) return 0;  // only Enter and / of the keypad
  if (key >= 0x3b && key <= 0x44) {                      // F1 to F10
    static constexpr const char* kFunction[] = {"\x1b[[A",  "\x1b[[B",  "\x1b[[C",  "\x1b[[D",  "\x1b[[E",
                                                "\x1b[17~", "\x1b[18~", "\x1b[19~", "\x1b[20~", "\x1b[21~"};
    return copy(kFunction[key - 0x3b], result);
  }
  if (key == 0x57) return copy("\x1b[23~", result);
  if (key == 0x58) return copy("\x1b[24~", result);
  return key < kCharacterKeys ? character(key, result) : 0;
}

bool KeyboardDecoder::modifier(uint8_t key, bool extended, bool pressed) {
  switch (key) {
    case kShiftLeft:
      if (!extended) shift_left_ = pressed;  // extended: a ghost that surrounds the grey keys
      return true;
    case kShiftRight:
      if (!extended) shift_right_ = pressed;
      return true;
    case kControl: control_ = pressed; return true;
    case kAlt: alt_ = pressed; return true;
    case kCapsLock: caps_lock_ ^= pressed; return true;
    case kNumLock: num_lock_ ^= pressed; return true;
  }
  return false;
}

size_t KeyboardDecoder::character(uint8_t key, std::span<uint8_t, kMaxBytes> result) {
  bool shift = shift_left_ || shift_right_;
  char c = kPlain[key];
  if (is_letter(c) && caps_lock_) shift = !shift;
  if (shift) c = kShifted[key];
  if (c == 0) return 0;
  if (control_) {
    if (c >= '@' && c <= '~')
      c &= 0x1f;
    else if (c == ' ' || c == '2')
      c = 0;
    else if (c == '/')
      c = 0x1f;
    else if (c == '?')
      c = 0x7f;
    else if (c == 0x7f)
      c = '\b';
  }
  size_t length = 0;
  if (alt_) result[length++] = 0x1b;
  result[length++] = static_cast<uint8_t>(c);
  return length;
}

size_t KeyboardDecoder::keypad(uint8_t key, bool extended, bool application_keys, std::span<uint8_t, kMaxBytes> result) {
  char digit = kKeypadDigits[key - 0x47], final = kKeypadFinals[key - 0x47];
  if (digit == '-' || digit == '+' || (!extended && num_lock_)) {
    result[0] = static_cast<uint8_t>(digit);
    return 1;
  }
  if (final == 0) return 0;
  bool is_letter_final = is_letter(final);
  result[0] = 0x1b;
  result[1] = is_letter_final && application_keys ? 'O' : '[';
  result[2] = static_cast<uint8_t>(final);
  if (is_letter_final) return 3;
  result[3] = '~';
  return 4;
}

}  // namespace faultline
