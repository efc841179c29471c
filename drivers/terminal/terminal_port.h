// The device under a terminal: a serial port, a screen, or the master side of a pseudo-terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "drivers/terminal/termios.h"

namespace faultline {

class TerminalPort {
 public:
  // --- Called by the terminal, in thread context, with its mutex held unless noted. None sleeps.

  // Takes as many of the bytes as it has room for and sends them in its own time; returns how many.
  virtual size_t transmit(std::span<const uint8_t> bytes) = 0;
  virtual size_t transmit_room() = 0;
  // Bytes taken that the device has not got yet (TIOCOUTQ, tcdrain). Without the mutex too.
  virtual size_t transmit_pending() = 0;
  // The device has sent what it got, to the last bit. Nobody is woken when it has; it takes moments. Without the mutex too.
  virtual bool is_transmitter_idle() { return true; }
  // Worth waking a writer for: enough room. The port calls Terminal::output_progressed() when this becomes true, and when nothing is
  // pending any more. Without the mutex too.
  virtual bool is_ready_to_transmit() = 0;
  virtual void transmit_discard() = 0;
  // ^S and ^Q: what is pending stays.
  virtual void transmit_pause(bool paused) = 0;
  // The terminal has room for input again: what Terminal::receive() refused may be offered again.
  virtual void input_wanted() {}
  // Speed and the like, at once.
  virtual void settings_changed(const Termios& termios) { (void)termios; }
  virtual void send_break() {}

  // Nobody has the terminal open any more / somebody has again.
  virtual void last_file_closed() {}
  virtual void first_file_opened() {}
  // No reference to the terminal is left. Ports that live for ever are never told.
  virtual void terminal_unreferenced() {}

 protected:
  ~TerminalPort() = default;
};

}  // namespace faultline
