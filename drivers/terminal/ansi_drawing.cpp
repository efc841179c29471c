// The screen's cells: moving, scrolling, erasing, inserting, colours.
#include "drivers/terminal/ansi_screen.h"
#include "lib/string.h"

namespace faultline {

namespace {

// ANSI numbers colours red, green, yellow, blue; VGA blue, green, cyan, red.
constexpr uint8_t kVgaColours[] = {0, 4, 2, 6, 1, 5, 3, 7};

uint32_t smaller(uint32_t one, uint32_t other) { return one < other ? one : other; }

}  // namespace

void AnsiScreen::reset() {
  row_ = column_ = saved_row_ = saved_column_ = 0;
  top_ = 0, bottom_ = kRows - 1;
  foreground_ = 7, background_ = 0;
  bold_ = reverse_ = blink_ = false;
  cursor_visible_ = wraps_ = true;
  application_keys_ = origin_mode_ = insert_mode_ = false;
  line_drawing_[0] = line_drawing_[1] = false;
  charset_ = 0;
  state_ = State::kGround;
  for (uint32_t row = 0; row < kRows; row++) erase(row, 0, kColumns);
}

uint8_t AnsiScreen::attribute() const {
  uint8_t front = kVgaColours[foreground_ & 7], back = kVgaColours[background_ & 7];
  if (reverse_) {
    uint8_t swap = front;
    front = back, back = swap;
  }
  if (bold_ || (foreground_ & 8 && !reverse_)) front |= 8;
  return static_cast<uint8_t>(front | back << 4 | (blink_ ? 0x80 : 0));
}

void AnsiScreen::select_graphics() {
  if (parameter_count_ == 0) parameter_count_ = 1;
  for (uint32_t i = 0; i < parameter_count_; i++) {
    uint32_t value = parameters_[i];
    if (value == 38 || value == 48) {
      // Extended colours: 5;N of a palette, of which we have the first 16, or 2;R;G;B.
      bool is_palette = i + 1 < parameter_count_ && parameters_[i + 1] == 5;
      if (is_palette && i + 2 < parameter_count_ && parameters_[i + 2] < 16)
        (value == 38 ? foreground_ : background_) = static_cast<uint8_t>(parameters_[i + 2]);
      i += is_palette ? 2 : 4;
    } else {
      select_colour(value);
    }
  }
}

void AnsiScreen::select_colour(uint32_t value) {
  switch (value) {
    case 0:
      foreground_ = 7, background_ = 0;
      bold_ = reverse_ = blink_ = false;
      return;
    case 1: bold_ = true; return;
    case 5: blink_ = true; return;
    case 7: reverse_ = true; return;
    case 21:
    case 22: bold_ = false; return;
    case 25: blink_ = false; return;
    case 27: reverse_ = false; return;
    case 39: foreground_ = 7; return;
    case 49: background_ = 0; return;
  }
  if (value >= 30 && value <= 37) foreground_ = static_cast<uint8_t>(value - 30);
  if (value >= 40 && value <= 47) background_ = static_cast<uint8_t>(value - 40);
  if (value >= 90 && value <= 97) foreground_ = static_cast<uint8_t>(value - 90 + 8);
  if (value >= 100 && value <= 107) background_ = static_cast<uint8_t>(value - 100);
}

void AnsiScreen::move_to(uint32_t row, uint32_t column) {
  uint32_t last = origin_mode_ ? bottom_ : kRows - 1;
  row_ = smaller(row, last);
  column_ = smaller(column, kColumns - 1);
}

// Cursor up and down stop at the scroll region's edge if they start inside it.
void AnsiScreen::move_vertically(int32_t rows) {
  uint32_t first = row_ >= top_ ? top_ : 0, last = row_ <= bottom_ ? bottom_ : kRows - 1;
  int32_t wanted = static_cast<int32_t>(row_) + rows;
  if (wanted < static_cast<int32_t>(first)) wanted = static_cast<int32_t>(first);
  row_ = smaller(static_cast<uint32_t>(wanted), last);
  column_ = cursor_column();
}

void AnsiScreen::line_feed() {
  if (row_ == bottom_)
    scroll_up(top_, 1);
  else if (row_ < kRows - 1)
    row_++;
}

void AnsiScreen::reverse_line_feed() {
  if (row_ == top_)
    scroll_down(top_, 1);
  else if (row_ > 0)
    row_--;
}

void AnsiScreen::scroll_up(uint32_t top, uint32_t count) {
  count = smaller(count, bottom_ - top + 1);
  memmove(cells_[top], cells_[top + count], (bottom_ - top + 1 - count) * sizeof cells_[0]);
  for (uint32_t row = bottom_ + 1 - count; row <= bottom_; row++) erase(row, 0, kColumns);
  for (uint32_t row = top; row <= bottom_; row++) changed(row);
}

void AnsiScreen::scroll_down(uint32_t top, uint32_t count) {
  count = smaller(count, bottom_ - top + 1);
  memmove(cells_[top + count], cells_[top], (bottom_ - top + 1 - count) * sizeof cells_[0]);
  for (uint32_t row = top; row < top + count; row++) erase(row, 0, kColumns);
  for (uint32_t row = top; row <= bottom_; row++) changed(row);
}

void AnsiScreen::erase(uint32_t row, uint32_t from, uint32_t to) {
  for (uint32_t column = from; column < to; column++) cells_[row][column] = blank();
  changed(row);
}

void AnsiScreen::erase_in_line(uint32_t how) {
  uint32_t column = cursor_column();
  if (how == 0)
    erase(row_, column, kColumns);
  else if (how == 1)
    erase(row_, 0, column + 1);
  else if (how == 2)
    erase(row_, 0, kColumns);
}

void AnsiScreen::erase_in_display(uint32_t how) {
  if (how > 3) return;
  if (how < 2) erase_in_line(how);
  uint32_t from = how == 0 ? row_ + 1 : 0, to = how == 1 ? row_ : kRows;
  for (uint32_t row = from; row < to; row++) erase(row, 0, kColumns);
}

void AnsiScreen::edit_sequence(uint8_t final) {
  uint32_t column = cursor_column(), count = parameter(0);
  uint32_t in_line = smaller(count, kColumns - column);
  ScreenCell* line = cells_[row_];
  bool in_region = row_ >= top_ && row_ <= bottom_;
  switch (final) {
    case 'J': erase_in_display(parameter(0, 0)); break;
    case 'K': erase_in_line(parameter(0, 0)); break;
    case 'L':
      if (in_region) scroll_down(row_, count);
      break;
    case 'M':
      if (in_region) scroll_up(row_, count);
      break;
    case 'S': scroll_up(top_, count); break;
    case 'T': scroll_down(top_, count); break;
    case 'X': erase(row_, column, column + in_line); break;
    case 'P':
      memmove(&line[column], &line[column + in_line], (kColumns - column - in_line) * sizeof *line);
      erase(row_, kColumns - in_line, kColumns);
      break;
    case '@':
      memmove(&line[column + in_line], &line[column], (kColumns - column - in_line) * sizeof *line);
      erase(row_, column, column + in_line);
      break;
  }
}

}  // namespace faultline
