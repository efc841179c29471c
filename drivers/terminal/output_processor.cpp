// Output post-processing: newlines, returns and tabs as c_oflag says. Runs of printable characters go in one piece.
#include "drivers/terminal/output_processor.h"

#include "lib/string.h"

namespace faultline {

namespace {

bool is_control(uint8_t byte) { return byte < 0x20 || byte == 0x7f; }
bool is_utf8_continuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

}  // namespace

OutputProcessor::Progress OutputProcessor::process(const Termios& termios, std::span<const uint8_t> from, std::span<uint8_t> to) {
  Progress progress;
  if (!termios.has_output(kPostProcess)) {
    progress.consumed = progress.produced = from.size() < to.size() ? from.size() : to.size();
    memcpy(to.data(), from.data(), progress.consumed);
    return progress;
  }
  bool utf8 = termios.has_input(kUtf8), upper = termios.has_output(kOutputUpperCase);
  while (progress.consumed < from.size()) {
    uint8_t byte = from[progress.consumed];
    if (!is_control(byte) && !upper) {
      if (progress.produced == to.size()) break;
      to[progress.produced++] = byte;
      if (!utf8 || !is_utf8_continuation(byte)) column_++;
    } else {
      uint8_t result[kMaxExpansion];
      uint32_t column_before = column_;
      size_t count = translate(termios, byte, result);
      if (count > to.size() - progress.produced) {
        column_ = column_before;
        break;
      }
      memcpy(to.data() + progress.produced, result, count);
      progress.produced += count;
    }
    progress.consumed++;
  }
  return progress;
}

size_t OutputProcessor::translate(const Termios& termios, uint8_t byte, uint8_t (&result)[kMaxExpansion]) {
  if (byte == '\r' && termios.has_output(kOutputReturnToNewline))
    byte = '\n';
  else if (byte == '\r' && termios.has_output(kNoReturnAtColumn0) && column_ == 0)
    return 0;
  result[0] = byte;
  switch (byte) {
    case '\n':
      if (termios.has_output(kNewlineReturns)) column_ = 0;
      if (!termios.has_output(kNewlineToReturnNewline)) return 1;
      column_ = 0;
      result[0] = '\r';
      result[1] = '\n';
      return 2;
    case '\r': column_ = 0; return 1;
    case '\b':
      if (column_ > 0) column_--;
      return 1;
    case '\t': {
      uint32_t width = 8 - (column_ & 7);
      column_ += width;
      if ((termios.output & kTabDelay) != kExpandTabs) return 1;
      memset(result, ' ', width);
      return width;
    }
  }
  if (is_control(byte)) return 1;
  if (byte >= 'a' && byte <= 'z' && termios.has_output(kOutputUpperCase)) result[0] = byte - 'a' + 'A';
  if (!termios.has_input(kUtf8) || !is_utf8_continuation(byte)) column_++;
  return 1;
}

}  // namespace faultline
