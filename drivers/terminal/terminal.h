// A terminal: the line discipline between a port and the files that programs hold, with job control. ioctl_tty(2), termios(3).
//
// Sleeping: input is processed in thread context only (input_thread.h, or the writer of a pseudo-terminal's master), so one
// mutex serialises everything; interrupts touch nothing of this but the wait queues. The mutex may be held across a copy to user
// memory (rank kTerminal is below kSpace).
#pragma once

#include <cstdint>

#include "drivers/terminal/job_control.h"
#include "drivers/terminal/line_discipline.h"
#include "drivers/terminal/terminal_port.h"
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/poll.h"
#include "lib/mutex.h"
#include "lib/ref.h"
#include "mm/io_buffer.h"

namespace faultline {

class Terminal final : public RefCounted<Terminal>, private LineDisciplineHost {
 public:
  Terminal(TerminalPort& port, DeviceNumber number, const Termios& termios);
  static void destroy(Terminal* terminal);

  DeviceNumber number() const { return number_; }

  // --- Files' side; see terminal_file.h. `generation` is hangup_generation() at the time of the open, or kNeverHungUp.
  static constexpr uint32_t kNeverHungUp = ~0u;
  uint32_t hangup_generation() const { return hangups_.load(memory_order_acquire); }
  bool is_hung_up(uint32_t generation) const { return generation != kNeverHungUp && generation != hangup_generation(); }
  // kBUSY in exclusive mode; kIO if the other side is gone.
  Result<void> opened(const JobIdentity& caller);
  void closed();
  Result<size_t> read(IoBuffer& buffer, bool non_blocking, uint32_t generation);
  Result<size_t> write(IoBuffer& buffer, bool non_blocking, uint32_t generation);
  uint32_t poll(PollTable* table, uint32_t generation);
  Result<uint32_t> ioctl(uint32_t request, uint32_t argument, uint32_t generation);

  // --- The port's side.
  enum class EchoWhenFull : uint8_t { kWait, kDrop };
  // Input, in order. Returns how many bytes were taken; the rest waits for TerminalPort::input_wanted(). Sleeps on the mutex.
  size_t receive(std::span<const uint8_t> keys, EchoWhenFull policy);
  void receive_break();
  // Any context: see TerminalPort::is_ready_to_transmit().
  void output_progressed() { write_queue_.wake_all(kPollOut | kPollWriteNormal); }
  // The line is gone: SIGHUP and SIGCONT to the session's leader and the foreground group, end of file for all open files.
  void hang_up();
  // As TIOCSWINSZ. Sleeps on the mutex.
  void set_window_size(const WindowSize& size);
  WindowSize window_size();
  // A hint that needs no lock: somebody wants the rest of its input.
  bool wants_input() const { return input_refused_.load(memory_order_acquire); }

  // --- Job control: which session this terminal controls, 0 if none, and that session's foreground process group.
  struct Control {
    uint32_t session = 0, foreground = 0;
  };
  Control control() const;
  // open(2) without O_NOCTTY: the caller's session takes the terminal if it can; never an error.
  void acquire_if_free(const JobIdentity& caller);
  // TIOCSPGRP, also of a pseudo-terminal's master. kSRCH, kPERM.
  Result<void> set_foreground(uint32_t session, uint32_t group);

 private:
  // --- LineDisciplineHost: the mutex is held.
  void echo(std::span<const uint8_t> bytes) override { port_.transmit(bytes); }
  void raise_signal(uint32_t signal) override;
  void discard_output() override { port_.transmit_discard(); }
  void stop_output() override REQUIRES(mutex_);
  void start_output() override REQUIRES(mutex_);

  struct ReadProgress {
    size_t bytes = 0;
    bool finished = false;
  };
  Result<ReadProgress> read_available(IoBuffer& buffer, size_t so_far, size_t wanted);
  Deadline read_deadline(size_t bytes_read);
  size_t transmit(std::span<const uint8_t> bytes);
  Result<void> wait_for_room(uint32_t generation);
  // Tells readers and poll what the discipline's input now is; and the port, if it was somebody else who changed it.
  enum class InputFrom : uint8_t { kPort, kReader };
  void publish_input(InputFrom from = InputFrom::kReader) REQUIRES(mutex_);
  // The caller may touch the terminal, or has been told to stop (kRESTARTSYS), or cannot (kIO).
  Result<void> check_background(uint32_t signal);
  Result<void> check_write();  // the same, only with TOSTOP
  Result<void> check_change() { return check_background(kJobSignalBackgroundWrite); }
  // All open files see the end; nobody's terminal any more.
  void disconnect();
  void release_session();
  friend void terminal_session_leader_exits(uint32_t session);
  friend Ref<Terminal> terminal_of_session(uint32_t session);

  // --- terminal_ioctl.cpp
  Result<uint32_t> flow_ioctl(uint32_t request, uint32_t argument, uint32_t generation);
  Result<uint32_t> session_ioctl(uint32_t request, uint32_t argument);
  Result<Termios> requested_termios(uint32_t request, uint32_t argument);
  Result<void> set_termios(uint32_t request, uint32_t argument, uint32_t generation);
  Result<void> drain(uint32_t generation);
  Result<void> take_session(const JobIdentity& caller, bool steal);
  Result<void> drop_session(const JobIdentity& caller);
  void discard_input();
  Termios termios();
  uint32_t pending_input();

  TerminalPort& port_;
  const DeviceNumber number_;
  mutable Mutex<LockRank::kTerminal> mutex_;
  LineDiscipline discipline_ GUARDED_BY(mutex_);
  WindowSize window_ GUARDED_BY(mutex_);
  bool output_stopped_ GUARDED_BY(mutex_) = false;
  uint32_t files_ GUARDED_BY(mutex_) = 0;
  Atomic<bool> exclusive_{false};
  Atomic<bool> stops_background_{false};  // TOSTOP
  Atomic<bool> input_ready_{false};       // a read would not wait
  Atomic<bool> poll_readable_{false};     // and there is as much as c_cc[VMIN] asks for
  Atomic<bool> input_refused_{false};
  Atomic<uint32_t> hangups_{0};
  WaitQueue read_queue_, write_queue_;

  // Guarded by the lock in sessions.cpp.
  Control control_;
  Terminal* next_controlling_ = nullptr;
};

// The terminal that controls the session, or null.
Ref<Terminal> terminal_of_session(uint32_t session);
// The leader of a session ends: its terminal is hung up and free for another session. Sleeps.
void terminal_session_leader_exits(uint32_t session);

}  // namespace faultline
