// Sockets of whole packets: see datagram_socket.h.
#include "kernel/net/internet/datagram_socket.h"

#include <lwip/ip.h>

#include <algorithm>
#include <new>

#include "kernel/net/internet/interface_ioctl.h"
#include "kernel/net/internet/ip_options.h"
#include "kernel/net/internet/packet_queue.h"
#include "kernel/net/lwip/memory.h"

namespace faultline {

namespace {

constexpr uint32_t kMostBytes = 65507;  // of an IPv4 packet with UDP's header
constexpr uint32_t kAnyEvents = kPollIn | kPollReadNormal;

bool is_unspecified(const SocketAddress& address) {
  return address.bytes >= sizeof(uint16_t) && address.family() == abi::kFamilyUnspecified;
}

}  // namespace

struct ReceivedPacket final : public ListNode<> {
  pbuf* data;
  InternetEndpoint from;
};

bool DatagramSocket::deliver(pbuf* packet, const InternetEndpoint& from) {
  const uint32_t bytes = bytes_.load(memory_order_relaxed) + packet->tot_len + static_cast<uint32_t>(sizeof(ReceivedPacket) + sizeof(pbuf));
  if (bytes > receive_buffer()) return false;
  void* memory = network_allocate(sizeof(ReceivedPacket));
  if (!memory) return false;
  ReceivedPacket* received = new (memory) ReceivedPacket;
  received->data = packet;
  received->from = from;
  packets_.push_back(*received);
  bytes_.store(bytes, memory_order_relaxed);
  count_.store(count_.load(memory_order_relaxed) + 1, memory_order_release);
  changed_.wake(kAnyEvents);
  return true;
}

void DatagramSocket::drop_first() {
  ReceivedPacket* first = packets_.pop_front();
  count_.store(count_.load(memory_order_relaxed) - 1, memory_order_release);
  const uint32_t bytes = first->data->tot_len + static_cast<uint32_t>(sizeof(ReceivedPacket) + sizeof(pbuf));
  bytes_.store(bytes_.load(memory_order_relaxed) - bytes, memory_order_relaxed);
  pbuf_free(first->data);
  first->~ReceivedPacket();
  network_free(first);
}

void DatagramSocket::drop_all() {
  while (!packets_.is_empty()) drop_first();
}

Result<void> DatagramSocket::bind(const SocketAddress& address) {
  const InternetEndpoint wanted = TRY(internet_endpoint(address));
  NetworkCore core;
  if (own_endpoint().port != 0) return Errno::kINVAL;
  if (!internet_is_own(wanted.address) && wanted.address.addr != IPADDR_BROADCAST) return Errno::kADDRNOTAVAIL;
  return internet_result(bind_block(wanted));
}

Result<void> DatagramSocket::connect(const SocketAddress& address, bool) {
  InternetEndpoint peer{};
  const bool connects = !is_unspecified(address);
  if (connects) peer = TRY(internet_endpoint(address));
  if (connects && ip4_addr_isany_val(peer.address)) IP4_ADDR(&peer.address, 127, 0, 0, 1);
  NetworkCore core;
  TRY(internet_result(connect_block(peer)));
  peer_ = peer;
  is_connected_ = connects;
  return {};
}

Result<void> DatagramSocket::own_address(SocketAddress& address) {
  NetworkCore core;
  tell_endpoint(address, own_endpoint());
  return {};
}

Result<void> DatagramSocket::peer_address(SocketAddress& address) {
  NetworkCore core;
  if (!is_connected_) return Errno::kNOTCONN;
  tell_endpoint(address, peer_);
  return {};
}

Result<void> DatagramSocket::shutdown(uint32_t how) {
  NetworkCore core;
  if (!is_connected_) return Errno::kNOTCONN;
  if (how != abi::kShutdownWrite) shut_.fetch_or(1u << abi::kShutdownRead, memory_order_release);
  if (how != abi::kShutdownRead) shut_.fetch_or(1u << abi::kShutdownWrite, memory_order_release);
  changed_.wake_all();
  return {};
}

// The packet is made outside of lwIP's lock but for its memory, for the copy may sleep in a page fault.
Result<size_t> DatagramSocket::send(SendRequest& request) {
  if (request.flags & abi::kMessageOutOfBand) return Errno::kOPNOTSUPP;
  if (shut_.load(memory_order_acquire) & 1u << abi::kShutdownWrite) return Errno::kPIPE;
  const size_t bytes = request.data.remaining();
  if (bytes > kMostBytes) return Errno::kMSGSIZE;
  InternetEndpoint to{};
  if (request.to) to = TRY(internet_endpoint(*request.to));
  if (request.to && ip4_addr_isany_val(to.address)) IP4_ADDR(&to.address, 127, 0, 0, 1);
  pbuf* packet;
  {
    NetworkCore core;
    if (!request.to && !is_connected_) return Errno::kDESTADDRREQ;
    if (!request.to) to = peer_;
    packet = pbuf_alloc(layer(), static_cast<u16_t>(bytes), PBUF_RAM);
  }
  if (!packet) return Errno::kNOBUFS;
  Result<void> taken = request.data.take_all(packet->payload, bytes);
  NetworkCore core;
  const err_t error = taken.ok() ? send_packet(packet, to) : static_cast<err_t>(ERR_OK);
  pbuf_free(packet);
  if (!taken.ok()) return taken.error();
  if (error == ERR_VAL) return Errno::kACCES;  // to everybody, without SO_BROADCAST
  TRY(internet_result(error));
  return bytes;
}

Result<void> DatagramSocket::wait_for_packet(bool waits, Deadline deadline) {
  auto is_there = [this] { return count_.load(memory_order_acquire) != 0 || shut_.load(memory_order_acquire) & 1u << abi::kShutdownRead; };
  if (is_there()) return {};
  return waits ? wait_on(changed_, is_there, deadline, true) : Result<void>(Errno::kAGAIN);
}

Result<size_t> DatagramSocket::receive(ReceiveRequest& request) {
  if (request.flags & abi::kMessageOutOfBand) return Errno::kOPNOTSUPP;
  const Deadline deadline = receive_deadline();
  for (;;) {
    TRY(wait_for_packet(request.waits(), deadline));
    LockGuard guard(read_lock_);
    const ReceivedPacket* first;
    {
      NetworkCore core;
      first = packets_.front();
    }
    if (!first) {
      if (shut_.load(memory_order_acquire) & 1u << abi::kShutdownRead) return size_t{0};
      continue;  // another reader was faster
    }
    const uint32_t whole = first->data->tot_len;
    const uint32_t part = static_cast<uint32_t>(std::min<size_t>(whole, request.data.remaining()));
    Result<size_t> copied = packet_copy(first->data, 0, part, request.data);
    if (request.from) tell_endpoint(*request.from, first->from);
    if (part < whole) request.told_flags |= abi::kMessageTruncated;
    if (!(request.flags & abi::kMessagePeek)) {
      NetworkCore core;
      drop_first();
    }
    if (count_.load(memory_order_acquire) != 0) changed_.wake(kAnyEvents);  // for another who sleeps
    if (!copied.ok() || copied.value() < part) return Errno::kFAULT;
    return request.flags & abi::kMessageTruncated ? size_t{whole} : size_t{part};
  }
}

uint32_t DatagramSocket::poll(PollTable* table) {
  if (table) table->register_queue(changed_);
  const uint32_t shut = shut_.load(memory_order_acquire);
  uint32_t events = kPollOut | kPollWriteNormal;
  if (shut & 1u << abi::kShutdownRead) events |= kPollIn | kPollReadNormal | kPollReadHangUp;
  if (shut == (1u << abi::kShutdownRead | 1u << abi::kShutdownWrite)) events |= kPollHangUp;
  if (count_.load(memory_order_acquire) != 0) events |= kPollIn | kPollReadNormal;
  return events;
}

Result<uint32_t> DatagramSocket::ioctl(uint32_t request, uint32_t argument) {
  uint32_t bytes = 0;
  if (request == abi::kBytesToRead) {
    NetworkCore core;
    if (ReceivedPacket* first = packets_.front()) bytes = first->data->tot_len;
  } else if (request != abi::kBytesUnsent) {
    return interface_ioctl(request, VirtAddr(argument));
  }
  TRY(user_write(UserPtr<uint32_t>(VirtAddr(argument)), bytes));
  return 0u;
}

void DatagramSocket::option_changed(uint32_t) {
  NetworkCore core;
  ip_pcb& block = control_block();
  block.so_options = static_cast<u8_t>((has_option(abi::kOptionReuseAddress) ? SOF_REUSEADDR : 0) |
                                       (has_option(abi::kOptionBroadcast) ? SOF_BROADCAST : 0));
}

Result<void> DatagramSocket::set_option(uint32_t level, uint32_t name, UserPtr<const void> value, uint32_t bytes) {
  if (level != abi::kProtocolIp) return Socket::set_option(level, name, value, bytes);
  const uint32_t number = TRY(ip_option_read(level, value, bytes));
  NetworkCore core;
  return set_ip_option(control_block().ttl, control_block().tos, name, number);
}

Result<uint32_t> DatagramSocket::get_option(uint32_t level, uint32_t name, UserPtr<void> value, uint32_t room) {
  if (level != abi::kProtocolIp) return Socket::get_option(level, name, value, room);
  auto number = [&]() -> Result<uint32_t> {
    NetworkCore core;
    return ip_option(control_block().ttl, control_block().tos, name);
  };
  return option_write(value, room, TRY(number()));
}

}  // namespace faultline
