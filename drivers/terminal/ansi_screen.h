// A screen of character cells that understands the control sequences of a VT100 with colours (ECMA-48, and what Linux's console
// adds that programs rely on). Pure: draws into its own cells; the driver copies rows that changed to the display.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline {

// A cell as VGA text memory has it: the character (code page 437), and foreground, background and blink bits above.
using ScreenCell = uint16_t;

class AnsiScreen {
 public:
  static constexpr uint32_t kColumns = 80, kRows = 25;

  AnsiScreen() { reset(); }

  void put(std::span<const uint8_t> bytes);

  std::span<const ScreenCell, kColumns> row(uint32_t index) const { return std::span<const ScreenCell, kColumns>(cells_[index]); }
  uint32_t cursor_row() const { return row_; }
  uint32_t cursor_column() const { return column_ < kColumns ? column_ : kColumns - 1; }
  bool is_cursor_visible() const { return cursor_visible_; }
  bool wants_application_keys() const { return application_keys_; }  // cursor keys send ESC O

  // Which rows changed since the last call, by bit.
  uint32_t take_changed_rows();
  // What the terminal answers (cursor position, identity), once; returns the bytes copied.
  size_t take_reply(std::span<uint8_t> buffer);

 private:
  static constexpr uint32_t kMaxParameters = 16;
  enum class State : uint8_t { kGround, kEscape, kControl, kString, kStringEscape, kCharset, kCharset1, kHash };

  void reset();
  void put_byte(uint8_t byte);
  void put_control(uint8_t byte);
  void put_escape(uint8_t byte);
  void put_control_sequence(uint8_t byte);
  void put_text(uint8_t byte);
  void draw(uint32_t code_point);
  void finish_sequence(uint8_t final);
  void edit_sequence(uint8_t final);
  void set_modes(bool on);
  void select_graphics();
  void select_colour(uint32_t value);
  void report(uint32_t what);
  void reply(const char* text);

  // A parameter of the sequence; 0 and absent mean `fallback`.
  uint32_t parameter(uint32_t index, uint32_t fallback = 1) const {
    return index < parameter_count_ && parameters_[index] != 0 ? parameters_[index] : fallback;
  }
  ScreenCell blank() const { return static_cast<ScreenCell>(attribute() << 8 | ' '); }
  uint8_t attribute() const;
  void move_to(uint32_t row, uint32_t column);
  void move_vertically(int32_t rows);
  void line_feed();
  void reverse_line_feed();
  void scroll_up(uint32_t top, uint32_t count);  // lines from `top` to the region's bottom
  void scroll_down(uint32_t top, uint32_t count);
  void erase(uint32_t row, uint32_t from, uint32_t to);  // columns [from, to)
  void erase_in_display(uint32_t how);
  void erase_in_line(uint32_t how);
  void changed(uint32_t row) { changed_rows_ |= 1u << row; }
  uint32_t origin() const { return origin_mode_ ? top_ : 0; }

  ScreenCell cells_[kRows][kColumns];
  uint32_t changed_rows_ = 0;
  uint32_t row_ = 0, column_ = 0;  // column_ == kColumns: the next character wraps first
  uint32_t saved_row_ = 0, saved_column_ = 0;
  uint32_t top_ = 0, bottom_ = kRows - 1;  // the scroll region, inclusive
  uint8_t foreground_ = 7, background_ = 0;
  bool bold_ = false, reverse_ = false, blink_ = false;
  bool cursor_visible_ = true, application_keys_ = false, wraps_ = true, origin_mode_ = false, insert_mode_ = false;
  bool line_drawing_[2] = {};  // G0 and G1 are the line-drawing set
  uint8_t charset_ = 0;
  State state_ = State::kGround;
  uint32_t parameters_[kMaxParameters];
  uint32_t parameter_count_ = 0;
  bool is_private_ = false;  // CSI ?
  uint32_t code_point_ = 0;
  uint8_t continuation_bytes_ = 0;
  uint8_t reply_[32];
  uint8_t reply_length_ = 0;
};

}  // namespace faultline
