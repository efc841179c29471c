// 16550A serial ports. Register layout: the PC16550D data sheet. Nothing received is lost while somebody will read it: when the
// ring is full, the receive interrupt is switched off and the bytes wait in the device and, in an emulator, at the other end.
#include "drivers/serial.h"

#include <iterator>
#include <utility>

#include "arch/clock.h"
#include "arch/interrupt.h"
#include "arch/port_io.h"
#include "drivers/terminal/byte_ring.h"
#include "drivers/terminal/input_thread.h"
#include "drivers/terminal/terminal_file.h"
#include "lib/lock.h"
#include "lib/log.h"
#include "mm/slab.h"

namespace faultline {

namespace {

// Registers, as offsets from the port's base; with kDivisorAccess the first two are the divisor.
constexpr uint16_t kData = 0, kInterruptEnable = 1, kFifoControl = 2, kInterruptId = 2, kLineControl = 3, kModemControl = 4,
                   kLineStatus = 5, kScratch = 7;
constexpr uint8_t kEnableReceive = 1, kEnableTransmit = 2, kEnableLineStatus = 4;
constexpr uint8_t kFifoOn = 0x81;  // interrupt at 8 received bytes, or a pause
constexpr uint8_t kDivisorAccess = 0x80, kBreak = 0x40, kParity = 8, kEvenParity = 16, kTwoStopBits = 4;
constexpr uint8_t kReady = 0x0b;  // DTR, RTS, and OUT2, which lets interrupts through on a PC
constexpr uint8_t kLoopBack = 0x10;
constexpr uint8_t kReceived = 1, kBreakSeen = 0x10, kTransmitEmpty = 0x20, kTransmitterIdle = 0x40;
constexpr uint8_t kNoInterrupt = 1;
constexpr size_t kFifoBytes = 16;
constexpr uint32_t kBaseRate = 115200;

class SerialPort final : public TerminalPort, public TerminalInputSource {
 public:
  SerialPort(uint16_t base, DeviceNumber number, const Termios& termios) : base_(base), terminal_(*this, number, termios) {}
  static bool is_present(uint16_t base);
  Terminal& terminal() { return terminal_; }
  void start(uint32_t line);

  size_t transmit(std::span<const uint8_t> bytes) override;
  size_t transmit_room() override;
  size_t transmit_pending() override;
  bool is_transmitter_idle() override;
  bool is_ready_to_transmit() override { return transmit_room() >= kTransmitRing / 2; }
  void transmit_discard() override;
  void transmit_pause(bool paused) override;
  void input_wanted() override { terminal_input_arrived(); }
  void settings_changed(const Termios& termios) override;
  void send_break() override;
  void deliver_input() override;
  void put_log(StringView text);
  // Nothing is on its way, or nothing moves: the other side said ^S.
  bool is_drained();

 private:
  static constexpr uint32_t kTransmitRing = 8192, kReceiveRing = 4096;

  static void handle_interrupt(void* context) { static_cast<SerialPort*>(context)->interrupted(); }
  void interrupted();
  bool receive_all() REQUIRES(lock_);
  enum class Burst : uint8_t { kSent, kNothing, kBusy };
  Burst send_burst_locked() REQUIRES(lock_);
  void send_now();
  void enable(uint8_t interrupts) REQUIRES(lock_);
  uint8_t in(uint16_t place) { return port_read8(base_ + place); }
  void out(uint16_t place, uint8_t value) { port_write8(base_ + place, value); }

  const uint16_t base_;
  Terminal terminal_;
  // The registers and the rings. A leaf, so that log lines may come from under any other lock; nothing is woken under it.
  InterruptSpinLock<LockRank::kLeaf> lock_;
  ByteRing<kTransmitRing> transmit_ GUARDED_BY(lock_);
  ByteRing<kReceiveRing> received_ GUARDED_BY(lock_);
  uint8_t enabled_ GUARDED_BY(lock_) = 0;
  uint32_t breaks_ GUARDED_BY(lock_) = 0;
  bool paused_ GUARDED_BY(lock_) = false;
};

bool SerialPort::is_present(uint16_t base) {
  for (uint8_t pattern : {0x5a, 0xa5}) {
    port_write8(base + kScratch, pattern);
    if (port_read8(base + kScratch) != pattern) return false;
  }
  return true;
}

void SerialPort::start(uint32_t line) {
  uint32_t state = lock_.lock();
  enable(0);
  out(kLineControl, kDivisorAccess);
  out(kData, 1);  // 115200
  out(kInterruptEnable, 0);
  out(kLineControl, 3);  // 8 bits, no parity, one stop bit
  // Somebody may have typed already. Switching the FIFO on forgets a byte that waits, so that one is read first, while nothing
  // can follow it.
  out(kModemControl, kLoopBack);
  receive_all();
  out(kFifoControl, kFifoOn);
  out(kModemControl, kReady);
  lock_.unlock(state);
  Result<void> installed = interrupt_install(line, InterruptTrigger::kEdgeHigh, &handle_interrupt, this);
  if (!installed.ok()) log(LogLevel::kError, "serial port at {x}: no interrupt", base_);
  state = lock_.lock();
  enable(kEnableReceive | kEnableLineStatus);
  if (!(in(kLineStatus)&kReceived)) in(kData);  // an emulator passes on what waits at its end only after a read
  receive_all();
  lock_.unlock(state);
  terminal_input_arrived();
}

void SerialPort::enable(uint8_t interrupts) {
  enabled_ = interrupts;
  out(kInterruptEnable, interrupts);
}

// The line is edge-triggered: it must have been quiet once before this returns, so it looks again until there is no cause.
void SerialPort::interrupted() {
  bool has_received = false, has_room = false;
  {
    InterruptLockGuard guard(lock_);
    for (uint32_t rounds = 0; rounds < 64 && !(in(kInterruptId)&kNoInterrupt); rounds++) {
      has_received |= receive_all();
      if (enabled_ & kEnableTransmit) {
        has_room |= send_burst_locked() != Burst::kBusy;
        if (transmit_.is_empty() || paused_) enable(enabled_ & ~kEnableTransmit);
      }
    }
    has_room = has_room && (transmit_.is_empty() || transmit_.room() >= kTransmitRing / 2);
  }
  if (has_room) terminal_.output_progressed();
  if (has_received || (has_room && terminal_.wants_input())) terminal_input_arrived();
}

// Empties the device into the ring. Returns whether there was anything.
bool SerialPort::receive_all() {
  bool any = false;
  for (uint8_t status = in(kLineStatus); status & kReceived; status = in(kLineStatus)) {
    any = true;
    if (received_.room() == 0) {
      enable(enabled_ & ~(kEnableReceive | kEnableLineStatus));
      break;
    }
    uint8_t byte = in(kData);
    if (status & kBreakSeen)
      breaks_++;
    else
      received_.put(byte);
  }
  return any;
}

SerialPort::Burst SerialPort::send_burst_locked() {
  if (paused_ || transmit_.is_empty()) return Burst::kNothing;
  if (!(in(kLineStatus)&kTransmitEmpty)) return Burst::kBusy;
  uint8_t burst[kFifoBytes];
  size_t count = transmit_.take(burst);
  for (size_t i = 0; i < count; i++) out(kData, burst[i]);
  return Burst::kSent;
}

// Sends as long as the device takes it at once, as emulated ones do; the interrupt does the rest.
void SerialPort::send_now() {
  for (Burst burst = Burst::kSent; burst == Burst::kSent;) {
    InterruptLockGuard guard(lock_);
    burst = send_burst_locked();
    if (burst == Burst::kBusy && !(enabled_ & kEnableTransmit)) enable(enabled_ | kEnableTransmit);
  }
}

size_t SerialPort::transmit(std::span<const uint8_t> bytes) {
  size_t accepted;
  {
    InterruptLockGuard guard(lock_);
    accepted = transmit_.put(bytes);
  }
  send_now();
  return accepted;
}

void SerialPort::put_log(StringView text) {
  {
    InterruptLockGuard guard(lock_);
    for (char c : text) {
      while (transmit_.room() < 2) {
        // Not for the port to lose: this line waits for the device, whatever else does.
        while (!(in(kLineStatus)&kTransmitEmpty)) machine::relax();
        uint8_t burst[kFifoBytes];
        size_t count = transmit_.take(burst);
        for (size_t i = 0; i < count; i++) out(kData, burst[i]);
      }
      if (c == '\n') transmit_.put(static_cast<uint8_t>('\r'));
      transmit_.put(static_cast<uint8_t>(c));
    }
  }
  send_now();
}

size_t SerialPort::transmit_room() {
  InterruptLockGuard guard(lock_);
  return transmit_.room();
}

size_t SerialPort::transmit_pending() {
  InterruptLockGuard guard(lock_);
  return transmit_.used();
}

bool SerialPort::is_transmitter_idle() {
  InterruptLockGuard guard(lock_);
  return in(kLineStatus)&kTransmitterIdle;
}

bool SerialPort::is_drained() {
  InterruptLockGuard guard(lock_);
  return paused_ || (transmit_.is_empty() && (in(kLineStatus)&kTransmitterIdle));
}

void SerialPort::transmit_discard() {
  {
    InterruptLockGuard guard(lock_);
    transmit_.clear();
  }
  terminal_.output_progressed();
}

void SerialPort::transmit_pause(bool paused) {
  {
    InterruptLockGuard guard(lock_);
    paused_ = paused;
  }
  if (paused) return;
  send_now();
  terminal_.output_progressed();
}

// Baud codes of c_cflag: 1 to 15, and 0x1001 up.
uint32_t rate_of(uint32_t control) {
  constexpr uint32_t kLow[] = {0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
  uint32_t code = control & kBaudMask;
  if (code < 16) return kLow[code];
  return code == 010001 ? 57600 : kBaseRate;
}

void SerialPort::settings_changed(const Termios& termios) {
  uint32_t rate = rate_of(termios.control);
  uint8_t line = (termios.control >> 4) & 3;
  if (termios.control & 0100) line |= kTwoStopBits;
  if (termios.control & 0400) line |= (termios.control & 01000) ? kParity : kParity | kEvenParity;
  InterruptLockGuard guard(lock_);
  if (rate == 0) {
    out(kModemControl, 0);
    return;
  }
  uint32_t divisor = kBaseRate / rate;
  out(kLineControl, line | kDivisorAccess);
  out(kData, static_cast<uint8_t>(divisor));
  out(kInterruptEnable, static_cast<uint8_t>(divisor >> 8));
  out(kLineControl, line);
  out(kModemControl, kReady);
  enable(enabled_);
}

void SerialPort::send_break() {
  uint8_t line;
  {
    InterruptLockGuard guard(lock_);
    line = in(kLineControl);
    out(kLineControl, line | kBreak);
  }
  ignore_result(block(SleepKind::kUninterruptible, {clock_monotonic() + 250'000'000}));  // for as long as it takes or less
  InterruptLockGuard guard(lock_);
  out(kLineControl, line);
}

void SerialPort::deliver_input() {
  for (;;) {
    uint8_t bytes[256];
    size_t count;
    uint32_t breaks;
    {
      InterruptLockGuard guard(lock_);
      count = received_.peek(bytes);
      breaks = std::exchange(breaks_, 0u);
    }
    for (; breaks > 0; breaks--) terminal_.receive_break();
    if (count == 0) return;
    size_t taken = terminal_.receive({bytes, count}, Terminal::EchoWhenFull::kWait);
    {
      InterruptLockGuard guard(lock_);
      received_.drop(taken);
      if (!(enabled_ & kEnableReceive) && received_.room() >= kReceiveRing / 2) enable(enabled_ | kEnableReceive | kEnableLineStatus);
    }
    if (taken < count) return;
  }
}

struct Place {
  StringView name;
  uint16_t base;
  uint32_t line;
};
constexpr Place kPlaces[] = {{"ttyS0", 0x3f8, 4}, {"ttyS1", 0x2f8, 3}};
constexpr uint32_t kMajor = 4, kFirstMinor = 64;

// In the order of kPlaces; null: not there. Written at boot only.
constinit SerialPort* ports[std::size(kPlaces)] = {};

}  // namespace

Result<void> serial_initialize() {
  for (uint32_t i = 0; i < std::size(kPlaces); i++) {
    const Place& place = kPlaces[i];
    if (!SerialPort::is_present(place.base)) continue;
    Termios termios = i == 0 ? kSaneTermios : kRawTermios;
    termios.control = (termios.control & ~kBaudMask) | kBaud115200 | kLocalLine;
    SerialPort* port = TRY(slab_new<SerialPort>(place.base, DeviceNumber{kMajor, kFirstMinor + i}, termios));
    terminal_input_register(*port);
    TRY(terminal_register(place.name, port->terminal()));
    port->start(place.line);
    ports[i] = port;
  }
  return {};
}

void serial_drain(Deadline deadline) {
  for (SerialPort* port : ports)
    while (port && !port->is_drained() && clock_monotonic() < deadline.nanoseconds)
      ignore_result(block(SleepKind::kUninterruptible, Deadline{clock_monotonic() + 1'000'000}));  // only the pause matters
}

bool serial_log_put(StringView text) {
  if (!ports[0]) return false;
  ports[0]->put_log(text);
  return true;
}

}  // namespace faultline
