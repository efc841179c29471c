// Terminals: reads, writes, readiness, input from the port, hang-up.
#include "drivers/terminal/terminal.h"

#include "arch/clock.h"

namespace faultline {

namespace {

// Programs leave this much of the port's room to the echo of what is typed meanwhile; input is processed while there is
// kEchoRoom, in pieces whose echo fits there.
constexpr size_t kEchoReserve = 256, kEchoRoom = 128, kInputPiece = 16;
constexpr size_t kChunk = 512;
constexpr uint64_t kTenthOfSecond = 100'000'000;

size_t smaller(size_t one, size_t other) { return one < other ? one : other; }

}  // namespace

Terminal::Terminal(TerminalPort& port, DeviceNumber number, const Termios& termios)
    : port_(port), number_(number), discipline_(termios, *this) {}

void Terminal::destroy(Terminal* terminal) {
  terminal->release_session();
  terminal->port_.terminal_unreferenced();
}

Result<void> Terminal::opened(const JobIdentity& caller) {
  LockGuard guard(mutex_);
  if (exclusive_.load(memory_order_relaxed) && files_ > 0 && !caller.privileged) return Errno::kBUSY;
  if (files_++ == 0) port_.first_file_opened();
  return {};
}

void Terminal::closed() {
  LockGuard guard(mutex_);
  if (--files_ != 0) return;
  exclusive_.store(false, memory_order_relaxed);
  port_.last_file_closed();
}

Result<size_t> Terminal::read(IoBuffer& buffer, bool non_blocking, uint32_t generation) {
  if (is_hung_up(generation) || buffer.remaining() == 0) return 0u;
  TRY(check_background(kJobSignalBackgroundRead));
  const size_t wanted = buffer.remaining();
  size_t done = 0;
  for (;;) {
    Result<ReadProgress> progress = read_available(buffer, done, wanted);
    if (!progress.ok() && done == 0) return progress.error();
    if (!progress.ok()) return done;
    done += progress.value().bytes;
    if (progress.value().finished || is_hung_up(generation)) return done;
    if (non_blocking) {
      if (done > 0) return done;
      return Errno::kAGAIN;
    }
    Result<void> waited = wait_until(
        read_queue_, [&] { return input_ready_.load(memory_order_acquire) || is_hung_up(generation); }, SleepKind::kInterruptible,
        read_deadline(done));
    if (!waited.ok() && (done > 0 || waited.error() == Errno::kTIMEDOUT)) return done;
    if (!waited.ok()) return Errno::kRESTARTSYS;
  }
}

// What is there now, and whether that ends the read: termios(3), canonical mode or the four cases of MIN and TIME.
Result<Terminal::ReadProgress> Terminal::read_available(IoBuffer& buffer, size_t so_far, size_t wanted) {
  LockGuard guard(mutex_);
  const Termios& termios = discipline_.termios();
  const bool canonical = termios.has_local(kCanonical);
  const uint8_t minimum = termios.characters[kCharMinimum], time = termios.characters[kCharTime];
  ReadProgress progress;
  Result<size_t> moved = size_t{0};
  while (moved.ok() && buffer.remaining() > 0 && discipline_.is_input_ready()) {
    uint8_t chunk[kChunk];
    LineDiscipline::Taken taken = discipline_.take({chunk, smaller(kChunk, buffer.remaining())});
    if (taken.bytes > 0) moved = buffer.put(chunk, taken.bytes);
    if (moved.ok()) progress.bytes += moved.value();
    if (moved.ok() && moved.value() < taken.bytes) progress.finished = true;
    if (taken.line_ended) progress.finished = true;
    if (progress.finished) break;
  }
  publish_input();
  if (!moved.ok() && progress.bytes == 0) return moved.error();
  size_t total = so_far + progress.bytes;
  if (total == wanted || !moved.ok()) progress.finished = true;
  if (canonical) {
    if (progress.bytes > 0) progress.finished = true;  // the mode changed while we waited: what was there counts
  } else if (minimum == 0) {
    if (total > 0 || time == 0) progress.finished = true;
  } else if (total >= minimum) {
    progress.finished = true;
  }
  return progress;
}

Deadline Terminal::read_deadline(size_t bytes_read) {
  LockGuard guard(mutex_);
  const Termios& termios = discipline_.termios();
  uint64_t time = termios.characters[kCharTime];
  if (termios.has_local(kCanonical) || time == 0) return Deadline::never();
  if (termios.characters[kCharMinimum] != 0 && bytes_read == 0) return Deadline::never();
  return {clock_monotonic() + time * kTenthOfSecond};
}

void Terminal::publish_input(InputFrom from) {
  const Termios& termios = discipline_.termios();
  bool ready = discipline_.is_input_ready();
  uint32_t enough = 1;
  if (!termios.has_local(kCanonical) && termios.characters[kCharTime] == 0 && termios.characters[kCharMinimum] > 1)
    enough = termios.characters[kCharMinimum];
  input_ready_.store(ready, memory_order_seq_cst);
  poll_readable_.store(ready && (enough == 1 || discipline_.readable() >= enough), memory_order_seq_cst);
  if (ready) read_queue_.wake_all(kPollIn | kPollReadNormal);
  if (from == InputFrom::kReader && discipline_.has_room() && input_refused_.exchange(false, memory_order_seq_cst)) port_.input_wanted();
}

Result<size_t> Terminal::write(IoBuffer& buffer, bool non_blocking, uint32_t generation) {
  size_t done = 0;
  while (buffer.remaining() > 0) {
    uint8_t chunk[kChunk];
    Result<size_t> taken = buffer.take(chunk, smaller(kChunk, buffer.remaining()));
    if (!taken.ok() && done > 0) return done;
    size_t bytes = TRY(taken);
    for (size_t sent = 0; sent < bytes;) {
      Result<void> may_write = is_hung_up(generation) ? Result<void>(Errno::kIO) : check_write();
      size_t accepted = may_write.ok() ? transmit({chunk + sent, bytes - sent}) : 0;
      sent += accepted;
      done += accepted;
      if (sent == bytes) break;
      if (may_write.ok() && accepted == 0) may_write = non_blocking ? Errno::kAGAIN : wait_for_room(generation);
      if (may_write.ok()) continue;
      if (done > 0) return done;
      return may_write.error();
    }
  }
  return done;
}

Result<void> Terminal::wait_for_room(uint32_t generation) {
  Result<void> waited = wait_until(
      write_queue_, [&] { return port_.is_ready_to_transmit() || is_hung_up(generation); }, SleepKind::kInterruptible);
  if (!waited.ok()) return Errno::kRESTARTSYS;
  return {};
}

// Gives the port what it has room for; returns how many of the program's bytes that were.
size_t Terminal::transmit(std::span<const uint8_t> bytes) {
  LockGuard guard(mutex_);
  size_t room = port_.transmit_room();
  if (room <= kEchoReserve) return 0;
  room -= kEchoReserve;
  if (!discipline_.termios().has_output(kPostProcess)) return port_.transmit(bytes.first(smaller(bytes.size(), room)));
  uint8_t translated[2 * kChunk];
  OutputProcessor::Progress progress = discipline_.process_output(bytes, {translated, smaller(sizeof translated, room)});
  port_.transmit({translated, progress.produced});
  return progress.consumed;
}

uint32_t Terminal::poll(PollTable* table, uint32_t generation) {
  if (table) {
    table->register_queue(read_queue_);
    table->register_queue(write_queue_);
  }
  if (is_hung_up(generation)) return kPollIn | kPollReadNormal | kPollOut | kPollWriteNormal | kPollError | kPollHangUp;
  uint32_t events = 0;
  if (poll_readable_.load(memory_order_seq_cst)) events |= kPollIn | kPollReadNormal;
  if (port_.is_ready_to_transmit()) events |= kPollOut | kPollWriteNormal;
  return events;
}

size_t Terminal::receive(std::span<const uint8_t> keys, EchoWhenFull policy) {
  LockGuard guard(mutex_);
  input_refused_.store(false, memory_order_relaxed);
  size_t taken = 0;
  while (taken < keys.size()) {
    bool waits = policy == EchoWhenFull::kWait && !output_stopped_ && discipline_.termios().has_local(kEcho);
    if (waits && port_.transmit_room() < kEchoRoom) {
      // The flag first, then the second look: the port either sees the flag when it progresses, or has made room by now.
      input_refused_.store(true, memory_order_seq_cst);
      if (port_.transmit_room() < kEchoRoom) break;
      input_refused_.store(false, memory_order_relaxed);
    }
    size_t piece = smaller(kInputPiece, keys.size() - taken);
    size_t accepted = discipline_.receive(keys.subspan(taken, piece));
    taken += accepted;
    if (accepted < piece) break;
  }
  publish_input(InputFrom::kPort);
  if (taken < keys.size()) input_refused_.store(true, memory_order_seq_cst);
  return taken;
}

void Terminal::receive_break() {
  LockGuard guard(mutex_);
  discipline_.receive_break();
  publish_input();
}

void Terminal::discard_input() {
  LockGuard guard(mutex_);
  discipline_.discard_input();
  publish_input();
}

void Terminal::raise_signal(uint32_t signal) {
  uint32_t group = control().foreground;
  if (group != 0) job_signal_group(group, signal);
}

void Terminal::stop_output() {
  output_stopped_ = true;
  port_.transmit_pause(true);
}

void Terminal::start_output() {
  if (!output_stopped_) return;
  output_stopped_ = false;
  port_.transmit_pause(false);
}

void Terminal::set_window_size(const WindowSize& size) {
  {
    LockGuard guard(mutex_);
    if (window_ == size) return;
    window_ = size;
  }
  uint32_t group = control().foreground;
  if (group != 0) job_signal_group(group, kJobSignalWindowChanged);
}

WindowSize Terminal::window_size() {
  LockGuard guard(mutex_);
  return window_;
}

}  // namespace faultline
