// The options of TCP sockets: tcp(7), ip(7), and those of socket(7) that lwIP has to know.
#include "kernel/net/internet/ip_options.h"
#include "kernel/net/internet/tcp_socket.h"

namespace faultline {

namespace {

// kINVAL: Linux has these limits too.
Result<void> set_limited(uint32_t& setting, uint32_t number, uint32_t most) {
  if (number < 1 || number > most) return Errno::kINVAL;
  setting = number;
  return {};
}
constexpr uint32_t kMostKeepIdle = 32767, kMostKeepInterval = 32767, kMostKeepCount = 127;

Result<void> set_tcp_option(TcpConnection::Settings& settings, uint32_t name, uint32_t number) {
  switch (name) {
    case abi::kTcpNoDelay: settings.no_delay = number != 0; return {};
    case abi::kTcpKeepIdle: return set_limited(settings.keep_idle, number, kMostKeepIdle);
    case abi::kTcpKeepInterval: return set_limited(settings.keep_interval, number, kMostKeepInterval);
    case abi::kTcpKeepCount: return set_limited(settings.keep_count, number, kMostKeepCount);
    case abi::kTcpQuickAck: return {};  // a hint
    default: return Errno::kNOPROTOOPT;
  }
}

Result<uint32_t> tcp_option(const TcpConnection::Settings& settings, uint32_t name, uint32_t segment) {
  switch (name) {
    case abi::kTcpNoDelay: return uint32_t{settings.no_delay};
    case abi::kTcpMaximumSegment: return segment;
    case abi::kTcpKeepIdle: return settings.keep_idle;
    case abi::kTcpKeepInterval: return settings.keep_interval;
    case abi::kTcpKeepCount: return settings.keep_count;
    case abi::kTcpQuickAck: return 1u;
    default: return Errno::kNOPROTOOPT;
  }
}

constexpr uint32_t kSegmentOfNone = 536;  // RFC 1122, before a peer has said otherwise

}  // namespace

void TcpSocket::option_changed(uint32_t) {
  NetworkCore core;
  TcpConnection::Settings settings = connection_.settings();
  settings.reuse_address = has_option(abi::kOptionReuseAddress);
  settings.keep_alive = has_option(abi::kOptionKeepAlive);
  settings.send_limit = send_buffer() < TCP_SND_BUF ? send_buffer() : TCP_SND_BUF;
  connection_.set(settings);
}

Result<void> TcpSocket::set_option(uint32_t level, uint32_t name, UserPtr<const void> value, uint32_t bytes) {
  if (level != abi::kProtocolTcp && level != abi::kProtocolIp) return Socket::set_option(level, name, value, bytes);
  const uint32_t number = TRY(ip_option_read(level, value, bytes));
  NetworkCore core;
  TcpConnection::Settings settings = connection_.settings();
  TRY(level == abi::kProtocolTcp ? set_tcp_option(settings, name, number)
                                 : set_ip_option(settings.time_to_live, settings.type_of_service, name, number));
  connection_.set(settings);
  return {};
}

Result<uint32_t> TcpSocket::get_option(uint32_t level, uint32_t name, UserPtr<void> value, uint32_t room) {
  if (level != abi::kProtocolTcp && level != abi::kProtocolIp) return Socket::get_option(level, name, value, room);
  auto number = [&]() -> Result<uint32_t> {
    NetworkCore core;
    const TcpConnection::Settings& settings = connection_.settings();
    if (level == abi::kProtocolIp) return ip_option(settings.time_to_live, settings.type_of_service, name);
    const bool has_segment = connection_.pcb_ && connection_.state() == TcpConnection::State::kConnected;
    return tcp_option(settings, name, has_segment ? connection_.pcb_->mss : kSegmentOfNone);
  };
  return option_write(value, room, TRY(number()));
}

}  // namespace faultline
