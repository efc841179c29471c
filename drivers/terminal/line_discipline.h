// The line discipline: keystrokes become lines (canonical mode) or a stream of bytes (raw mode), are echoed, and some are
// signals or flow control. Pure: no locks, no time, no processes; the terminal that owns it serialises the calls, and the
// host tests run it as it is. Rules: termios(3), with Linux's choices where POSIX leaves one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "drivers/terminal/output_processor.h"
#include "drivers/terminal/termios.h"

namespace faultline {

// What the discipline asks of its terminal. None may call back into the discipline.
class LineDisciplineHost {
 public:
  // Bytes for the device, post-processed already. What does not fit is lost.
  virtual void echo(std::span<const uint8_t> bytes) = 0;
  // kJobSignal… for the foreground group.
  virtual void raise_signal(uint32_t signal) = 0;
  // Output that the device has not taken yet is dropped (a signal character without NOFLSH).
  virtual void discard_output() = 0;
  // ^S and ^Q.
  virtual void stop_output() = 0;
  virtual void start_output() = 0;

 protected:
  ~LineDisciplineHost() = default;
};

// Invariant: read_ <= committed_ <= write_ <= read_ + kCapacity (free-running indices). Cells before committed_ may be read; in
// canonical mode those from there on are the line being edited, in raw mode there are none.
class LineDiscipline {
 public:
  static constexpr uint32_t kCapacity = 4096;  // the longest line with its end; a power of two

  LineDiscipline(const Termios& termios, LineDisciplineHost& host) : termios_(termios), host_(host) {}

  const Termios& termios() const { return termios_; }
  // Pending input is kept: what was being edited can be read at once after a change of mode.
  void set_termios(const Termios& termios);

  // Takes keystrokes in order, as long as there is room, or to look at those that would be dropped anyway. Returns how many it took.
  size_t receive(std::span<const uint8_t> keys);
  // A break condition or a parity error came instead of a byte.
  void receive_break();
  // A byte more would be stored or deliberately dropped; when false, it has to wait until somebody reads.
  bool has_room() const;

  // Bytes that a read could return now; in canonical mode those of complete lines (FIONREAD).
  uint32_t readable() const { return committed_ - read_ - end_of_file_marks_; }
  // A read would return now, be it with 0 bytes (end of file).
  bool is_input_ready() const { return committed_ != read_; }

  struct Taken {
    size_t bytes = 0;
    bool line_ended = false;  // canonical mode: the read is over, even with 0 bytes
  };
  Taken take(std::span<uint8_t> buffer);
  void discard_input();

  // Translates what a program writes (see OutputProcessor::process).
  OutputProcessor::Progress process_output(std::span<const uint8_t> from, std::span<uint8_t> to) {
    return output_.process(termios_, from, to);
  }

 private:
  using Cell = uint16_t;  // a byte and flags
  static constexpr Cell kLineEnd = 0x100, kEndOfFile = 0x200;

  bool is_canonical() const { return termios_.has_local(kCanonical); }
  bool is(uint8_t key, ControlCharacter which) const { return key != 0 && key == termios_.characters[which]; }
  bool is_extended(uint8_t key, ControlCharacter which) const { return termios_.has_local(kExtended) && is(key, which); }
  Cell& cell(uint32_t index) { return cells_[index % kCapacity]; }
  uint32_t edit_start() const { return committed_; }

  void receive_key(uint8_t key);
  bool receive_flow_control(uint8_t key);
  bool receive_signal(uint8_t key);
  bool receive_editing(uint8_t key);
  void receive_line_end(uint8_t key, Cell flags);
  void receive_ordinary(uint8_t key);
  void store(uint8_t key, Cell flags);
  void raise(uint32_t signal, uint8_t key);

  enum class EraseKind : uint8_t { kCharacter, kWord, kLine };
  void erase(EraseKind kind);
  uint8_t erase_one();
  void echo_erased(uint8_t byte);
  uint32_t column_at_end();
  void reprint();

  void echo_key(uint8_t key);
  void echo_text(std::span<const uint8_t> bytes);
  void echo_text(const char* text);

  Termios termios_;
  LineDisciplineHost& host_;
  OutputProcessor output_;
  uint32_t read_ = 0, committed_ = 0, write_ = 0;
  uint32_t end_of_file_marks_ = 0;  // among the cells from read_ to committed_
  uint32_t edit_column_ = 0;        // where the line being edited began on the screen
  bool literal_next_ = false;       // ^V came
  Cell cells_[kCapacity];
};

}  // namespace faultline
