// The line discipline's editing of the unfinished line, and its echo: erase, word erase, kill, reprint.
#include "drivers/terminal/line_discipline.h"
#include "lib/string.h"

namespace faultline {

namespace {

bool is_control(uint8_t byte) { return byte < 0x20 || byte == 0x7f; }
bool is_word(uint8_t byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' || byte >= 0x80;
}
bool is_utf8_continuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

}  // namespace

void LineDiscipline::erase(EraseKind kind) {
  if (write_ == edit_start()) return;
  bool echo = termios_.has_local(kEcho);
  uint32_t visibly = kEchoKill | kEchoKillErase | kEchoErase;
  if (kind == EraseKind::kLine && (!echo || (termios_.local & visibly) != visibly)) {
    write_ = edit_start();
    if (!echo) return;
    echo_key(termios_.characters[kCharKill]);
    if (termios_.has_local(kEchoKill)) echo_text("\n");
    return;
  }
  bool word_seen = false;
  while (write_ != edit_start()) {
    uint8_t last = static_cast<uint8_t>(cell(write_ - 1));
    if (kind == EraseKind::kWord) {
      if (is_word(last))
        word_seen = true;
      else if (word_seen)
        break;
    }
    uint8_t first = erase_one();
    if (echo) {
      if (kind == EraseKind::kCharacter && !termios_.has_local(kEchoErase))
        echo_key(termios_.characters[kCharErase]);
      else
        echo_erased(first);
    }
    if (kind == EraseKind::kCharacter) break;
  }
}

// Takes the last character, all bytes of it if the terminal is in UTF-8, off the line; returns its first byte.
uint8_t LineDiscipline::erase_one() {
  uint8_t byte;
  do byte = static_cast<uint8_t>(cell(--write_));
  while (termios_.has_input(kUtf8) && is_utf8_continuation(byte) && write_ != edit_start());
  return byte;
}

// Wipes a character that is no longer in the line off the screen.
void LineDiscipline::echo_erased(uint8_t byte) {
  bool as_two = termios_.has_local(kEchoControl);
  if (byte == '\t') {
    // The tab began where the rest of the line now ends.
    uint32_t width = 8 - (column_at_end() & 7);
    for (uint32_t i = 0; i < width; i++) echo_text("\b");
  } else if (!is_control(byte)) {
    echo_text("\b \b");
  } else if (as_two) {
    echo_text("\b \b\b \b");
  }
}

// The column behind the last character of the line being edited, from what was echoed.
uint32_t LineDiscipline::column_at_end() {
  uint32_t column = edit_column_;
  for (uint32_t i = edit_start(); i != write_; i++) {
    uint8_t byte = static_cast<uint8_t>(cell(i));
    if (byte == '\t')
      column = (column | 7) + 1;
    else if (is_control(byte))
      column += termios_.has_local(kEchoControl) ? 2 : 0;
    else if (!termios_.has_input(kUtf8) || !is_utf8_continuation(byte))
      column++;
  }
  return column;
}

void LineDiscipline::reprint() {
  echo_key(termios_.characters[kCharReprint]);
  echo_text("\n");
  edit_column_ = output_.column();
  for (uint32_t i = edit_start(); i != write_; i++) echo_key(static_cast<uint8_t>(cell(i)));
}

// Shows a key; control characters as ^X if ECHOCTL is set.
void LineDiscipline::echo_key(uint8_t key) {
  if (is_control(key) && key != '\t' && termios_.has_local(kEchoControl)) {
    uint8_t shown[] = {'^', static_cast<uint8_t>(key ^ 0x40)};
    echo_text(shown);
  } else {
    echo_text(std::span<const uint8_t>(&key, 1));
  }
}

void LineDiscipline::echo_text(const char* text) {
  echo_text(std::span<const uint8_t>(reinterpret_cast<const uint8_t*>(text), strlen(text)));
}

// Short texts only: what they become fits the buffer.
void LineDiscipline::echo_text(std::span<const uint8_t> bytes) {
  uint8_t translated[64];
  OutputProcessor::Progress progress = output_.process(termios_, bytes, translated);
  host_.echo(std::span<const uint8_t>(translated, progress.produced));
}

}  // namespace faultline
