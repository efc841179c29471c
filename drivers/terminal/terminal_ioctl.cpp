// ioctl(2) on terminals: ioctl_tty(2)'s requests. Unknown ones are kNOTTY.
#include "drivers/terminal/terminal.h"
#include "arch/clock.h"
#include "lib/string.h"
#include "mm/user_memory.h"

namespace faultline {

namespace {

Result<uint32_t> nothing(Result<void> result) {
  TRY(result);
  return 0u;
}
template <typename T>
Result<uint32_t> give(uint32_t argument, const T& value) {
  return nothing(user_write(UserPtr<T>(argument), value));
}
Result<uint32_t> give_int(uint32_t argument, uint32_t value) { return give<uint32_t>(argument, value); }

// System V's structure has the low halves of the flags, and the first characters.
Termio to_termio(const Termios& termios) {
  Termio old;
  old.input = static_cast<uint16_t>(termios.input);
  old.output = static_cast<uint16_t>(termios.output);
  old.control = static_cast<uint16_t>(termios.control);
  old.local = static_cast<uint16_t>(termios.local);
  old.line = termios.line;
  memcpy(old.characters, termios.characters, sizeof old.characters);
  return old;
}
void apply(Termios& termios, const Termio& old) {
  constexpr uint32_t kHigh = 0xffff0000u;
  termios.input = (termios.input & kHigh) | old.input;
  termios.output = (termios.output & kHigh) | old.output;
  termios.control = (termios.control & kHigh) | old.control;
  termios.local = (termios.local & kHigh) | old.local;
  termios.line = old.line;
  memcpy(termios.characters, old.characters, sizeof old.characters);
}

}  // namespace

Result<uint32_t> Terminal::ioctl(uint32_t request, uint32_t argument, uint32_t generation) {
  if (is_hung_up(generation)) return Errno::kIO;
  switch (request) {
    case kIoctlGetTermios: return give(argument, termios());
    case kIoctlGetTermio: return give(argument, to_termio(termios()));
    case kIoctlSetTermios:
    case kIoctlSetTermiosWait:
    case kIoctlSetTermiosFlush:
    case kIoctlSetTermio:
    case kIoctlSetTermioWait:
    case kIoctlSetTermioFlush: return nothing(set_termios(request, argument, generation));
    case kIoctlGetWindowSize: return give(argument, window_size());
    case kIoctlSetWindowSize: set_window_size(TRY(user_read(UserPtr<WindowSize>(argument)))); return 0u;
    case kIoctlInputPending: return give_int(argument, pending_input());
    case kIoctlOutputPending: return give_int(argument, static_cast<uint32_t>(port_.transmit_pending()));
    case kIoctlGetDiscipline: return give_int(argument, 0);
    case kIoctlSetDiscipline:
      if (TRY(user_read(UserPtr<uint32_t>(argument))) != 0) return Errno::kINVAL;
      return 0u;
    case kIoctlExclusive: exclusive_.store(true, memory_order_relaxed); return 0u;
    case kIoctlNotExclusive: exclusive_.store(false, memory_order_relaxed); return 0u;
    case kIoctlGetExclusive: return give_int(argument, exclusive_.load(memory_order_relaxed));
    case kIoctlFlush:
    case kIoctlFlow:
    case kIoctlSendBreak:
    case kIoctlSendBreakPosix: return flow_ioctl(request, argument, generation);
  }
  return session_ioctl(request, argument);
}

Termios Terminal::termios() {
  LockGuard guard(mutex_);
  return discipline_.termios();
}

uint32_t Terminal::pending_input() {
  LockGuard guard(mutex_);
  return discipline_.readable();
}

Result<Termios> Terminal::requested_termios(uint32_t request, uint32_t argument) {
  if (request <= kIoctlSetTermiosFlush) return user_read(UserPtr<Termios>(argument));
  Termio old = TRY(user_read(UserPtr<Termio>(argument)));
  Termios result = termios();
  apply(result, old);
  return result;
}

Result<void> Terminal::set_termios(uint32_t request, uint32_t argument, uint32_t generation) {
  Termios wanted = TRY(requested_termios(request, argument));
  TRY(check_change());
  if (request != kIoctlSetTermios && request != kIoctlSetTermio) TRY(drain(generation));
  LockGuard guard(mutex_);
  if (request == kIoctlSetTermiosFlush || request == kIoctlSetTermioFlush) discipline_.discard_input();
  discipline_.set_termios(wanted);
  stops_background_.store(wanted.has_local(kStopBackground), memory_order_relaxed);
  port_.settings_changed(wanted);
  publish_input();
  // A reader that waits by the old settings looks again.
  read_queue_.wake_all(kPollIn | kPollReadNormal);
  return {};
}

Result<void> Terminal::drain(uint32_t generation) {
  Result<void> waited = wait_until(
      write_queue_, [&] { return port_.transmit_pending() == 0 || is_hung_up(generation); }, SleepKind::kInterruptible);
  if (!waited.ok()) return Errno::kRESTARTSYS;
  while (!port_.is_transmitter_idle() && !is_hung_up(generation)) {
    Result<void> slept = block(SleepKind::kInterruptible, Deadline{clock_monotonic() + 1'000'000});
    if (!slept.ok() && slept.error() == Errno::kINTR) return Errno::kRESTARTSYS;
  }
  if (is_hung_up(generation)) return Errno::kIO;
  return {};
}

Result<uint32_t> Terminal::flow_ioctl(uint32_t request, uint32_t argument, uint32_t generation) {
  TRY(check_change());
  if (request == kIoctlSendBreak || request == kIoctlSendBreakPosix) {
    TRY(drain(generation));
    LockGuard guard(mutex_);
    if (request == kIoctlSendBreakPosix || argument == 0) port_.send_break();
    return 0u;
  }
  LockGuard guard(mutex_);
  if (request == kIoctlFlush) {
    if (argument > kFlushBoth) return Errno::kINVAL;
    if (argument != kFlushInput) port_.transmit_discard();
    if (argument != kFlushOutput) discipline_.discard_input();
    publish_input();
    write_queue_.wake_all(kPollOut | kPollWriteNormal);
    return 0u;
  }
  if (argument == kFlowStopOutput)
    stop_output();
  else if (argument == kFlowStartOutput)
    start_output();
  else if (argument == kFlowSendStop || argument == kFlowSendStart) {
    uint8_t key = discipline_.termios().characters[argument == kFlowSendStop ? kCharStop : kCharStart];
    if (key != 0) port_.transmit({&key, 1});
  } else {
    return Errno::kINVAL;
  }
  return 0u;
}

Result<uint32_t> Terminal::session_ioctl(uint32_t request, uint32_t argument) {
  JobIdentity caller = job_caller();
  Control now = control();
  bool is_own = now.session != 0 && now.session == caller.session;
  switch (request) {
    case kIoctlSetControlling: return nothing(take_session(caller, argument == 1 && caller.privileged));
    case kIoctlDropControlling: return nothing(drop_session(caller));
    case kIoctlGetGroup:
      if (!is_own) return Errno::kNOTTY;
      return give_int(argument, now.foreground);
    case kIoctlGetSession:
      if (!is_own) return Errno::kNOTTY;
      return give_int(argument, now.session);
    case kIoctlSetGroup: {
      Result<void> allowed = check_change();
      if (!allowed.ok()) return allowed.error() == Errno::kIO ? Errno::kNOTTY : allowed.error();
      if (!is_own) return Errno::kNOTTY;
      uint32_t group = TRY(user_read(UserPtr<uint32_t>(argument)));
      if (static_cast<int32_t>(group) < 0) return Errno::kINVAL;
      return nothing(set_foreground(now.session, group));
    }
    case kIoctlVirtualHangUp:
      if (!caller.privileged) return Errno::kPERM;
      hang_up();
      return 0u;
    case kIoctlInsertInput: {
      if (!caller.privileged && !is_own) return Errno::kPERM;
      uint8_t key = TRY(user_read(UserPtr<uint8_t>(argument)));
      receive({&key, 1}, EchoWhenFull::kDrop);
      return 0u;
    }
  }
  return Errno::kNOTTY;
}

}  // namespace faultline
