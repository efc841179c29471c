// The screen's reading of bytes: UTF-8, control characters, escape and control sequences.
#include "drivers/terminal/ansi_screen.h"

#include "lib/format.h"
#include "lib/string.h"

namespace faultline {

namespace {

// Code points past ASCII that code page 437 has and programs use; anything else is a small block.
struct Glyph {
  uint16_t code_point;
  uint8_t character;
};
constexpr Glyph kGlyphs[] = {
    {0xa0, ' '},    {0xa3, 0x9c},   {0xa7, 0x15},   {0xab, 0xae},   {0xb0, 0xf8},   {0xb1, 0xf1},   {0xb5, 0xe6},   {0xb7, 0xfa},
    {0xbb, 0xaf},   {0xbd, 0xab},   {0xc4, 0x8e},   {0xc5, 0x8f},   {0xc9, 0x90},   {0xd6, 0x99},   {0xdc, 0x9a},   {0xdf, 0xe1},
    {0xe0, 0x85},   {0xe1, 0xa0},   {0xe2, 0x83},   {0xe4, 0x84},   {0xe5, 0x86},   {0xe7, 0x87},   {0xe8, 0x8a},   {0xe9, 0x82},
    {0xea, 0x88},   {0xeb, 0x89},   {0xed, 0xa1},   {0xf1, 0xa4},   {0xf3, 0xa2},   {0xf4, 0x93},   {0xf6, 0x94},   {0xfa, 0xa3},
    {0xfc, 0x81},   {0x2013, '-'},  {0x2014, '-'},  {0x2018, '\''}, {0x2019, '\''}, {0x201c, '"'},  {0x201d, '"'},  {0x2022, 0x07},
    {0x2026, '.'},  {0x2190, 0x1b}, {0x2191, 0x18}, {0x2192, 0x1a}, {0x2193, 0x19}, {0x2264, 0xf3}, {0x2265, 0xf2}, {0x2500, 0xc4},
    {0x2502, 0xb3}, {0x250c, 0xda}, {0x2510, 0xbf}, {0x2514, 0xc0}, {0x2518, 0xd9}, {0x251c, 0xc3}, {0x2524, 0xb4}, {0x252c, 0xc2},
    {0x2534, 0xc1}, {0x253c, 0xc5}, {0x2550, 0xcd}, {0x2551, 0xba}, {0x2588, 0xdb}, {0x2591, 0xb0}, {0x2592, 0xb1}, {0x2593, 0xb2},
};
constexpr uint8_t kUnknownGlyph = 0xfe;
// The VT100's line-drawing set, from '_' to '~'.
constexpr uint8_t kLineDrawing[] = {' ',  0x04, 0xb1, '?',  '?',  '?',  '?',  0xf8, 0xf1, '?',  '?',  0xd9, 0xbf, 0xda, 0xc0, 0xc5,
                                    0xc4, 0xc4, 0xc4, 0xc4, 0xc4, 0xc3, 0xb4, 0xc1, 0xc2, 0xb3, 0xf3, 0xf2, 0xe3, 0xd8, 0x9c, 0xfa};

uint8_t glyph_of(uint32_t code_point) {
  if (code_point < 0x7f) return static_cast<uint8_t>(code_point);
  for (const Glyph& glyph : kGlyphs)
    if (glyph.code_point == code_point) return glyph.character;
  return kUnknownGlyph;
}

}  // namespace

void AnsiScreen::put(std::span<const uint8_t> bytes) {
  for (uint8_t byte : bytes) put_byte(byte);
}

void AnsiScreen::put_byte(uint8_t byte) {
  if (state_ == State::kString) {  // a title or the like: until BEL or ESC backslash
    if (byte == '\a') state_ = State::kGround;
    if (byte == 0x1b) state_ = State::kStringEscape;
    return;
  }
  if (byte < 0x20 || byte == 0x7f) {
    put_control(byte);
    return;
  }
  switch (state_) {
    case State::kGround: put_text(byte); break;
    case State::kEscape: put_escape(byte); break;
    case State::kControl: put_control_sequence(byte); break;
    case State::kCharset:
    case State::kCharset1:
      line_drawing_[state_ == State::kCharset1] = byte == '0';
      state_ = State::kGround;
      break;
    default: state_ = State::kGround; break;
  }
}

void AnsiScreen::put_control(uint8_t byte) {
  continuation_bytes_ = 0;
  switch (byte) {
    case '\b':
      if (column_ >= kColumns) column_ = kColumns - 1;
      if (column_ > 0) column_--;
      break;
    case '\t':
      column_ = (column_ | 7) + 1;
      if (column_ >= kColumns) column_ = kColumns - 1;
      break;
    case '\n':
    case '\v':
    case '\f': line_feed(); break;
    case '\r': column_ = 0; break;
    case 0x0e: charset_ = 1; break;
    case 0x0f: charset_ = 0; break;
    case 0x18:
    case 0x1a: state_ = State::kGround; break;
    case 0x1b: state_ = State::kEscape; break;
  }
}

void AnsiScreen::put_escape(uint8_t byte) {
  state_ = State::kGround;
  switch (byte) {
    case '[':
      state_ = State::kControl;
      parameter_count_ = 0;
      parameters_[0] = 0;
      is_private_ = false;
      break;
    case ']':
    case 'P':
    case '_':
    case '^': state_ = State::kString; break;
    case '(': state_ = State::kCharset; break;
    case ')': state_ = State::kCharset1; break;
    case '*':
    case '+':
    case '#':
    case '%': state_ = State::kHash; break;
    case '7': saved_row_ = row_, saved_column_ = column_; break;
    case '8': row_ = saved_row_, column_ = saved_column_; break;
    case 'D': line_feed(); break;
    case 'E': column_ = 0, line_feed(); break;
    case 'M': reverse_line_feed(); break;
    case 'Z': reply("\x1b[?6c"); break;
    case 'c': reset(); break;
  }
}

void AnsiScreen::put_control_sequence(uint8_t byte) {
  if (byte >= '0' && byte <= '9') {
    if (parameter_count_ == 0) parameter_count_ = 1;
    uint32_t& value = parameters_[parameter_count_ - 1];
    if (value < 10000) value = value * 10 + byte - '0';
  } else if (byte == ';' || byte == ':') {
    if (parameter_count_ == 0) parameter_count_ = 1;
    if (parameter_count_ < kMaxParameters) parameters_[parameter_count_++] = 0;
  } else if (byte == '?') {
    is_private_ = true;
  } else if (byte >= 0x40) {
    state_ = State::kGround;
    finish_sequence(byte);
  }
}

void AnsiScreen::put_text(uint8_t byte) {
  if (byte < 0x80) {
    continuation_bytes_ = 0;
    bool drawing = line_drawing_[charset_] && byte >= '_' && byte <= '~';
    if (drawing)
      draw(0x10000u | kLineDrawing[byte - '_']);
    else
      draw(byte);
  } else if ((byte & 0xc0) == 0x80) {
    if (continuation_bytes_ == 0) return;
    code_point_ = code_point_ << 6 | (byte & 0x3f);
    if (--continuation_bytes_ == 0) draw(code_point_ < 0x10000 ? code_point_ : 0xffff);
  } else {
    continuation_bytes_ = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    code_point_ = byte & (0x3f >> continuation_bytes_);
  }
}

// `code_point` past 16 bits: a character of the display's own.
void AnsiScreen::draw(uint32_t code_point) {
  if (column_ >= kColumns) {
    if (wraps_) {
      column_ = 0;
      line_feed();
    } else {
      column_ = kColumns - 1;
    }
  }
  uint8_t character = code_point & 0x10000u ? static_cast<uint8_t>(code_point) : glyph_of(code_point);
  ScreenCell* line = cells_[row_];
  if (insert_mode_) memmove(&line[column_ + 1], &line[column_], (kColumns - column_ - 1) * sizeof *line);
  line[column_++] = static_cast<ScreenCell>(attribute() << 8 | character);
  changed(row_);
}

void AnsiScreen::finish_sequence(uint8_t final) {
  switch (final) {
    case 'A': move_vertically(-static_cast<int32_t>(parameter(0))); break;
    case 'e':
    case 'B': move_vertically(static_cast<int32_t>(parameter(0))); break;
    case 'a':
    case 'C': move_to(row_, cursor_column() + parameter(0)); break;
    case 'D': move_to(row_, cursor_column() > parameter(0) ? cursor_column() - parameter(0) : 0); break;
    case 'E': column_ = 0, move_vertically(static_cast<int32_t>(parameter(0))); break;
    case 'F': column_ = 0, move_vertically(-static_cast<int32_t>(parameter(0))); break;
    case '`':
    case 'G': move_to(row_, parameter(0) - 1); break;
    case 'd': move_to(origin() + parameter(0) - 1, cursor_column()); break;
    case 'f':
    case 'H': move_to(origin() + parameter(0) - 1, parameter(1) - 1); break;
    case 'r': {
      uint32_t top = parameter(0) - 1, bottom = parameter(1, kRows) - 1;
      if (bottom >= kRows) bottom = kRows - 1;
      if (top >= bottom) break;
      top_ = top, bottom_ = bottom;
      move_to(origin(), 0);
      break;
    }
    case 's': saved_row_ = row_, saved_column_ = column_; break;
    case 'u': row_ = saved_row_, column_ = saved_column_; break;
    case 'm': select_graphics(); break;
    case 'h':
    case 'l': set_modes(final == 'h'); break;
    case 'n': report(parameter(0, 0)); break;
    case 'c':
      if (parameter(0, 0) == 0) reply("\x1b[?6c");
      break;
    default: edit_sequence(final); break;
  }
}

void AnsiScreen::set_modes(bool on) {
  for (uint32_t i = 0; i < parameter_count_; i++) {
    if (!is_private_) {
      if (parameters_[i] == 4) insert_mode_ = on;
      continue;
    }
    switch (parameters_[i]) {
      case 1: application_keys_ = on; break;
      case 6: origin_mode_ = on, move_to(origin(), 0); break;
      case 7: wraps_ = on; break;
      case 25: cursor_visible_ = on; break;
    }
  }
}

void AnsiScreen::report(uint32_t what) {
  if (what == 5) reply("\x1b[0n");
  if (what != 6) return;
  char text[24];
  BufferSink sink(text);
  format(sink, "\x1b[{};{}R", row_ - origin() + 1, cursor_column() + 1);
  text[sink.text().size()] = 0;
  reply(text);
}

void AnsiScreen::reply(const char* text) {
  size_t length = strlen(text);
  if (reply_length_ + length > sizeof reply_) return;
  memcpy(reply_ + reply_length_, text, length);
  reply_length_ = static_cast<uint8_t>(reply_length_ + length);
}

size_t AnsiScreen::take_reply(std::span<uint8_t> buffer) {
  size_t count = reply_length_ < buffer.size() ? reply_length_ : buffer.size();
  memcpy(buffer.data(), reply_, count);
  reply_length_ = 0;
  return count;
}

uint32_t AnsiScreen::take_changed_rows() {
  uint32_t changed = changed_rows_;
  changed_rows_ = 0;
  return changed;
}

}  // namespace faultline
