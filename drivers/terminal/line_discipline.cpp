// The line discipline's way of a key: flow control, signals, translation, editing, line ends, ordinary characters.
#include "drivers/terminal/line_discipline.h"

#include "drivers/terminal/job_control.h"
#include "lib/string.h"

namespace faultline {

void LineDiscipline::set_termios(const Termios& termios) {
  bool mode_changes = (termios_.local ^ termios.local) & kCanonical;
  bool flow_ends = termios_.has_input(kFlowOutput) && !termios.has_input(kFlowOutput);
  termios_ = termios;
  if (flow_ends) host_.start_output();
  if (!mode_changes) return;
  literal_next_ = false;
  committed_ = write_;
  if (is_canonical()) {
    // The ends of past lines are not remembered in raw mode: all that waits is one line.
    end_of_file_marks_ = 0;
    for (uint32_t i = read_; i != write_; i++) cell(i) &= 0xff;
    if (write_ != read_) cell(write_ - 1) |= kLineEnd;
  } else {
    end_of_file_marks_ = 0;  // in raw mode they are the zero bytes that they are stored as
  }
}

bool LineDiscipline::has_room() const {
  if (write_ - read_ < kCapacity - 2) return true;  // one key may take two cells (PARMRK)
  return is_canonical() && committed_ == read_;     // nobody could read: the rest of an endless line is dropped
}

size_t LineDiscipline::receive(std::span<const uint8_t> keys) {
  size_t taken = 0;
  while (taken < keys.size() && has_room()) receive_key(keys[taken++]);
  return taken;
}

void LineDiscipline::receive_break() {
  if (termios_.has_input(kIgnoreBreak)) return;
  if (termios_.has_input(kBreakInterrupt)) {
    raise(kJobSignalInterrupt, 0);
    return;
  }
  if (!has_room()) return;
  if (termios_.has_input(kMarkParity)) {
    store(0xff, 0);
    store(0, 0);
  }
  store(0, 0);
}

void LineDiscipline::receive_key(uint8_t key) {
  if (termios_.has_input(kStrip)) key &= 0x7f;
  if (termios_.has_input(kInputLowerCase) && termios_.has_local(kExtended) && key >= 'A' && key <= 'Z') key += 'a' - 'A';
  if (literal_next_) {
    literal_next_ = false;
    receive_ordinary(key);
    return;
  }
  if (receive_flow_control(key) || receive_signal(key)) return;
  if (key == '\r') {
    if (termios_.has_input(kIgnoreReturn)) return;
    if (termios_.has_input(kReturnToNewline)) key = '\n';
  } else if (key == '\n' && termios_.has_input(kNewlineToReturn)) {
    key = '\r';
  }
  if (!is_canonical() || !receive_editing(key)) receive_ordinary(key);
}

bool LineDiscipline::receive_flow_control(uint8_t key) {
  if (!termios_.has_input(kFlowOutput)) return false;
  if (is(key, kCharStart)) {
    host_.start_output();
    return true;
  }
  if (is(key, kCharStop)) {
    host_.stop_output();
    return true;
  }
  if (termios_.has_input(kAnyStarts)) host_.start_output();
  return false;
}

bool LineDiscipline::receive_signal(uint8_t key) {
  if (!termios_.has_local(kSignals)) return false;
  if (is(key, kCharInterrupt))
    raise(kJobSignalInterrupt, key);
  else if (is(key, kCharQuit))
    raise(kJobSignalQuit, key);
  else if (is(key, kCharSuspend))
    raise(kJobSignalStop, key);
  else
    return false;
  return true;
}

void LineDiscipline::raise(uint32_t signal, uint8_t key) {
  if (!termios_.has_local(kNoFlush)) {
    discard_input();
    host_.discard_output();
  }
  host_.raise_signal(signal);
  if (termios_.has_input(kFlowOutput)) host_.start_output();
  if (key != 0 && termios_.has_local(kEcho)) echo_key(key);
}

// Keys that mean something to a line. Returns false for all others.
bool LineDiscipline::receive_editing(uint8_t key) {
  if (is(key, kCharErase)) {
    erase(EraseKind::kCharacter);
  } else if (is_extended(key, kCharWordErase)) {
    erase(EraseKind::kWord);
  } else if (is(key, kCharKill)) {
    erase(EraseKind::kLine);
  } else if (is_extended(key, kCharLiteralNext)) {
    literal_next_ = true;
    if (termios_.has_local(kEcho) && termios_.has_local(kEchoControl)) echo_text("^\b");
  } else if (is_extended(key, kCharReprint) && termios_.has_local(kEcho)) {
    reprint();
  } else if (key == '\n') {
    if (termios_.local & (kEcho | kEchoNewline)) echo_text("\n");
    receive_line_end(key, kLineEnd);
  } else if (is(key, kCharEndOfFile)) {
    receive_line_end(0, kLineEnd | kEndOfFile);
  } else if (is(key, kCharEndOfLine) || is_extended(key, kCharEndOfLine2)) {
    if (termios_.has_local(kEcho)) echo_key(key);
    receive_line_end(key, kLineEnd);
  } else {
    return false;
  }
  return true;
}

// There is room: ordinary keys leave at least one cell free while no line is complete.
void LineDiscipline::receive_line_end(uint8_t key, Cell flags) {
  DEBUG_ASSERT(write_ - read_ < kCapacity);
  store(key, flags);
  committed_ = write_;
  if (flags & kEndOfFile) end_of_file_marks_++;
}

void LineDiscipline::receive_ordinary(uint8_t key) {
  if (write_ - read_ >= kCapacity - 2) {
    if (termios_.has_input(kBellWhenFull)) echo_text("\a");
    return;
  }
  if (termios_.has_local(kEcho)) {
    if (write_ == edit_start()) edit_column_ = output_.column();
    if (key == '\n')
      echo_text("\n");
    else
      echo_key(key);
  }
  if (key == 0xff && termios_.has_input(kMarkParity) && !termios_.has_input(kStrip)) store(key, 0);
  store(key, 0);
}

void LineDiscipline::store(uint8_t key, Cell flags) {
  cell(write_++) = static_cast<Cell>(key | flags);
  if (!is_canonical()) committed_ = write_;
}

LineDiscipline::Taken LineDiscipline::take(std::span<uint8_t> buffer) {
  Taken taken;
  while (read_ != committed_) {
    Cell next = cell(read_);
    // An end-of-file mark right behind a full buffer belongs to this read, else the next would return 0 in mid-stream.
    bool is_mark = is_canonical() && (next & kEndOfFile);
    if (taken.bytes == buffer.size() && !(is_mark && taken.bytes > 0)) break;
    read_++;
    if (is_mark)
      end_of_file_marks_--;
    else
      buffer[taken.bytes++] = static_cast<uint8_t>(next);
    if (is_canonical() && (next & kLineEnd)) {
      taken.line_ended = true;
      break;
    }
  }
  return taken;
}

void LineDiscipline::discard_input() {
  read_ = committed_ = write_;
  end_of_file_marks_ = 0;
  literal_next_ = false;
}

}  // namespace faultline
