// SOL_SOCKET's options, see socket(7). Those that are on or off are bits by their number; what only some families look at is kept all the same,
// as Linux does.
#include "kernel/net/socket.h"

namespace faultline {

namespace {

// net.core.wmem_max and rmem_max; the value that is kept, and told, is twice what was asked for.
constexpr uint32_t kMaximumBuffer = 212992, kLeastSendBuffer = 4608, kLeastReceiveBuffer = 2304;

uint32_t buffer_size(uint32_t wanted, uint32_t least, uint32_t most) {
  uint32_t twice = (wanted < most ? wanted : most) * 2;
  return twice < least ? least : twice;
}

constexpr uint32_t kSwitches = 1u << abi::kOptionDebug | 1u << abi::kOptionReuseAddress | 1u << abi::kOptionDontRoute |
                               1u << abi::kOptionBroadcast | 1u << abi::kOptionKeepAlive | 1u << abi::kOptionOutOfBandInline |
                               1u << abi::kOptionReusePort | 1u << abi::kOptionPassCredentials;
constexpr bool is_switch(uint32_t name) { return name < 32 && (kSwitches >> name & 1); }

Result<uint64_t> timeout_of(int64_t seconds, int64_t microseconds) {
  if (microseconds < 0 || microseconds >= 1'000'000) return Errno::kDOM;
  if (seconds < 0) return uint64_t{0};
  if ((seconds == 0 && microseconds == 0) || seconds >= INT64_MAX / 1'000'000'000) return Deadline::kNever;
  return static_cast<uint64_t>(seconds) * 1'000'000'000 + static_cast<uint64_t>(microseconds) * 1000;
}

Result<uint32_t> put_timeout(uint64_t timeout, bool is_wide, UserPtr<void> value, uint32_t room) {
  if (timeout == Deadline::kNever) timeout = 0;
  abi::Timeout64 wide{static_cast<int64_t>(timeout / 1'000'000'000), static_cast<int64_t>(timeout / 1000 % 1'000'000)};
  if (is_wide) return option_write(value, room, wide);
  return option_write(value, room, abi::Timeout32{static_cast<int32_t>(wide.seconds), static_cast<int32_t>(wide.microseconds)});
}

}  // namespace

Result<void> Socket::set_timeout(Timeout& timeout, bool is_wide, UserPtr<const void> value, uint32_t bytes) {
  uint64_t nanoseconds;
  if (is_wide) {
    auto wide = TRY(option_read<abi::Timeout64>(value, bytes));
    nanoseconds = TRY(timeout_of(wide.seconds, wide.microseconds));
  } else {
    auto narrow = TRY(option_read<abi::Timeout32>(value, bytes));
    nanoseconds = TRY(timeout_of(narrow.seconds, narrow.microseconds));
  }
  timeout.store(nanoseconds, memory_order_relaxed);
  return {};
}

Result<void> Socket::set_option(uint32_t level, uint32_t name, UserPtr<const void> value, uint32_t bytes) {
  if (level != abi::kLevelSocket) return Errno::kOPNOTSUPP;
  TRY(set_socket_option(name, value, bytes));
  option_changed(name);
  return {};
}

Result<void> Socket::set_socket_option(uint32_t name, UserPtr<const void> value, uint32_t bytes) {
  const uint32_t number = TRY(option_read<uint32_t>(value, bytes));
  if (is_switch(name)) {
    if (number) {
      options_.fetch_or(1u << name, memory_order_relaxed);
    } else {
      options_.fetch_and(~(1u << name), memory_order_relaxed);
    }
    return {};
  }
  switch (name) {
    case abi::kOptionSendBuffer: send_buffer_.store(buffer_size(number, kLeastSendBuffer, kMaximumBuffer), memory_order_relaxed); return {};
    case abi::kOptionReceiveBuffer:
      receive_buffer_.store(buffer_size(number, kLeastReceiveBuffer, kMaximumBuffer), memory_order_relaxed);
      return {};
    case abi::kOptionLinger: linger_ = TRY(option_read<abi::Linger>(value, bytes)); return {};
    case abi::kOptionReceiveLowWater:
      receive_low_water_.store(number == 0 ? 1 : number > INT32_MAX ? uint32_t{INT32_MAX} : number, memory_order_relaxed);
      return {};
    case abi::kOptionPriority:
      if (number > 6) return Errno::kPERM;
      priority_.store(number, memory_order_relaxed);
      return {};
    case abi::kOptionReceiveTimeout:
    case abi::kOptionReceiveTimeout64: return set_timeout(receive_timeout_, name == abi::kOptionReceiveTimeout64, value, bytes);
    case abi::kOptionSendTimeout:
    case abi::kOptionSendTimeout64: return set_timeout(send_timeout_, name == abi::kOptionSendTimeout64, value, bytes);
    default: return Errno::kNOPROTOOPT;
  }
}

Result<uint32_t> Socket::get_option(uint32_t level, uint32_t name, UserPtr<void> value, uint32_t room) {
  if (level != abi::kLevelSocket) return Errno::kOPNOTSUPP;
  return get_socket_option(name, value, room);
}

Result<uint32_t> Socket::get_socket_option(uint32_t name, UserPtr<void> value, uint32_t room) {
  auto number = [&](uint32_t what) { return option_write(value, room, what); };
  if (is_switch(name)) return number(has_option(name));
  switch (name) {
    case abi::kOptionType: return number(type_);
    case abi::kOptionDomain: return number(family_);
    case abi::kOptionProtocol: return number(protocol_);
    case abi::kOptionError: return number(static_cast<uint32_t>(take_error()));
    case abi::kOptionAcceptsConnections: return number(is_listening());
    case abi::kOptionSendBuffer: return number(send_buffer());
    case abi::kOptionReceiveBuffer: return number(receive_buffer());
    case abi::kOptionReceiveLowWater: return number(receive_low_water());
    case abi::kOptionSendLowWater: return number(1);
    case abi::kOptionPriority: return number(priority_.load(memory_order_relaxed));
    case abi::kOptionLinger: return option_write(value, room, linger_);
    case abi::kOptionPeerCredentials: return option_write(value, room, TRY(peer_credentials()));
    case abi::kOptionReceiveTimeout:
    case abi::kOptionReceiveTimeout64:
      return put_timeout(receive_timeout_.load(memory_order_relaxed), name == abi::kOptionReceiveTimeout64, value, room);
    case abi::kOptionSendTimeout:
    case abi::kOptionSendTimeout64:
      return put_timeout(send_timeout_.load(memory_order_relaxed), name == abi::kOptionSendTimeout64, value, room);
    default: return Errno::kNOPROTOOPT;
  }
}

}  // namespace faultline
