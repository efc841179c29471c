// Output post-processing (termios(3), OPOST): what a program writes becomes what the device gets; and the cursor's column,
// which erasing a tab needs. Pure: no locks, no device; the caller serialises.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "drivers/terminal/termios.h"

namespace faultline {

class OutputProcessor {
 public:
  struct Progress {
    size_t consumed = 0, produced = 0;
  };
  // One written byte becomes at most so many.
  static constexpr size_t kMaxExpansion = 8;

  // Translates from the front of `from` while the result fits in `to`; a byte is consumed with all it produces or not at all.
  Progress process(const Termios& termios, std::span<const uint8_t> from, std::span<uint8_t> to);

  // Where the cursor is believed to be, 0 at the left; not limited to the window's width.
  uint32_t column() const { return column_; }

 private:
  size_t translate(const Termios& termios, uint8_t byte, uint8_t (&result)[kMaxExpansion]);
  uint32_t column_ = 0;
};

}  // namespace faultline
