// Input leaves interrupts at once: drivers put bytes in a ring and ask here for thread context, where the line discipline runs
// with interrupts on.
#pragma once

namespace faultline {

class TerminalInputSource {
 public:
  // Passes what has arrived to the terminal. Thread context, one call at a time.
  virtual void deliver_input() = 0;

 protected:
  ~TerminalInputSource() = default;
};

// Boot only; at most eight.
void terminal_input_register(TerminalInputSource& source);
// Something has arrived, or may be offered again. Any context.
void terminal_input_arrived();
// The body of the kernel thread that delivers; kernel/ starts it once, after the terminals are registered. Never returns.
void terminal_input_loop(void*);

}  // namespace faultline
