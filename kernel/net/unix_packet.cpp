// SOCK_DGRAM and SOCK_SEQPACKET: whole messages, each in memory of its own, that counts against its sender's buffer until it is received.
//
// A datagram socket may be sent to by many; it takes only so many packets (net.unix.max_dgram_qlen) from those it is not connected with.
#include "kernel/net/unix_control.h"
#include "kernel/net/unix_in_flight.h"
#include "kernel/net/unix_socket.h"

namespace faultline {

namespace {

class UnixPacketSocket final : public UnixSocket {
 public:
  using UnixSocket::UnixSocket;
  ~UnixPacketSocket() override = default;

  Result<void> connect(const SocketAddress& address, bool waits) override;
  Result<size_t> send(SendRequest& request) override;
  Result<size_t> receive(ReceiveRequest& request) override;
  uint32_t poll(PollTable* table) override;

 private:
  Result<Ref<UnixMessage>> message_of(SendRequest& request, Deadline deadline);
  Result<void> wait_for_own_space(bool waits, Deadline deadline);
  Result<Ref<UnixMessage>> next_packet(ReceiveRequest& request);
  void connect_datagrams(Ref<UnixEndpoint> peer);
  uint32_t bytes_to_read() override;
  void destroy() override { slab_delete(this); }
};

enum class Queued : uint8_t { kYes, kNoRoom, kPeerIsGone };

// Only who is its peer, or anybody if it has none, may send to a socket.
bool may_send(const UnixEndpoint& from, const UnixEndpoint& to) { return !to.peer() || to.peer() == &from; }
bool is_full_for(const UnixEndpoint& from, const UnixEndpoint& to) {
  return &from != &to && to.peer() != &from && to.has_too_many_packets();
}

// The packet is in the queue, or nothing has changed. kPERM, kPIPE.
Result<Queued> enqueue(UnixEndpoint& from, UnixEndpoint& to, UnixMessage& packet) {
  LockGuard guard(unix_lock);
  if (!may_send(from, to)) return Errno::kPERM;
  if (to.dead_.load(memory_order_relaxed)) return Queued::kPeerIsGone;
  if (to.is_shut(UnixEndpoint::kShutReceive)) return Errno::kPIPE;
  if (is_full_for(from, to)) return Queued::kNoRoom;
  if (to.passes_credentials_.load(memory_order_relaxed) && !packet.has_credentials) {
    UnixAttachment own;
    own.add_own_credentials();
    packet.credentials = own.credentials;
    packet.has_credentials = true;
  }
  packet.acquire();
  to.packets_.push_back(packet);
  to.packet_count_.fetch_add(1, memory_order_acq_rel);
  if (packet.files) UnixInFlight::enter_locked(*packet.files, to);
  return Queued::kYes;
}

// A datagram socket whose peer was closed has none any more.
void forget_peer(UnixEndpoint& own, UnixEndpoint& peer) {
  Ref<UnixEndpoint> gone;
  LockGuard guard(unix_lock);
  if (own.peer() != &peer) return;
  gone = Ref<UnixEndpoint>::adopt(own.peer_.exchange(nullptr, memory_order_acq_rel));
  own.state_.store(UnixEndpoint::State::kUnconnected, memory_order_release);
}

Result<void> UnixPacketSocket::wait_for_own_space(bool waits, Deadline deadline) {
  UnixEndpoint& own = endpoint();
  auto has_space = [&own] { return own.packet_charge_.load(memory_order_acquire) < own.send_limit_.load(memory_order_relaxed); };
  for (;;) {
    if (Errno error = own.take_error(); error != Errno{}) return error;
    if (own.is_shut(UnixEndpoint::kShutSend)) return Errno::kPIPE;
    if (has_space()) return {};
    if (!waits) return Errno::kAGAIN;
    TRY(wait_on(
        own.writable_, [&] { return has_space() || own.is_shut(UnixEndpoint::kShutSend); }, deadline));
  }
}

// The bytes are copied before anything is looked for: no lock is held while user memory is read.
Result<Ref<UnixMessage>> UnixPacketSocket::message_of(SendRequest& request, Deadline deadline) {
  UnixEndpoint& own = endpoint();
  UnixAttachment attached;
  TRY(attached.read(request.control));
  if (request.flags & abi::kMessageOutOfBand) return Errno::kOPNOTSUPP;
  if (request.to) TRY(unix_check_address(*request.to));
  if (!request.to && !own.peer()) return Errno::kNOTCONN;
  TRY(name_if_credentials_pass());
  if (request.data.remaining() > own.send_limit_.load(memory_order_relaxed) - 32) return Errno::kMSGSIZE;
  TRY(wait_for_own_space(request.waits(), deadline));
  Ref<UnixMessage> packet = TRY(UnixMessage::create());
  TRY(packet->packet.fill(request.data, static_cast<uint32_t>(request.data.remaining())));
  if (own.passes_credentials_.load(memory_order_relaxed)) attached.add_own_credentials();
  packet->files = std::move(attached.files);
  packet->has_credentials = attached.has_credentials;
  packet->credentials = attached.credentials;
  own.packet_charge_.fetch_add(packet->packet.bytes() + UnixMessage::kOverhead, memory_order_acq_rel);
  packet->sender = Ref<UnixEndpoint>(own);
  return packet;
}

Result<size_t> UnixPacketSocket::send(SendRequest& request) {
  UnixEndpoint& own = endpoint();
  const Deadline deadline = send_deadline();
  if (own.is_connection_based()) {
    if (Errno error = own.take_error(); error != Errno{}) return error;
    if (own.state() != UnixEndpoint::State::kConnected) return Errno::kNOTCONN;
    request.to = nullptr;
  }
  const size_t bytes = request.data.remaining();
  Ref<UnixMessage> packet = TRY(message_of(request, deadline));
  for (;;) {
    Ref<UnixEndpoint> to = request.to ? TRY(unix_find(*request.to, type())) : unix_peer_of(own);
    if (!to) return Errno::kCONNRESET;
    switch (TRY(enqueue(own, *to, *packet))) {
      case Queued::kYes: to->readable_.wake(kPollIn | kPollReadNormal); return bytes;
      case Queued::kPeerIsGone:
        if (own.is_connection_based()) return Errno::kPIPE;
        if (own.peer() != to.get()) break;  // the name may have a new owner
        forget_peer(own, *to);
        return Errno::kCONNREFUSED;
      case Queued::kNoRoom:
        if (!request.waits()) return Errno::kAGAIN;
        TRY(wait_on(
            to->room_, [&] { return !is_full_for(own, *to) || to->is_deaf(); }, deadline));
    }
  }
}

// The oldest packet, taken or (MSG_PEEK) shared with the queue. Null: no more will come.
Result<Ref<UnixMessage>> UnixPacketSocket::next_packet(ReceiveRequest& request) {
  UnixEndpoint& own = endpoint();
  const Deadline deadline = receive_deadline();
  auto look = [&]() -> Ref<UnixMessage> {
    if (!(request.flags & abi::kMessagePeek)) return unix_take_packet(own);
    LockGuard guard(unix_lock);
    UnixMessage* first = own.packets_.front();
    return first ? Ref<UnixMessage>(*first) : Ref<UnixMessage>();
  };
  for (;;) {
    if (Errno error = own.take_error(); error != Errno{}) return error;
    if (Ref<UnixMessage> packet = look()) return packet;
    const bool is_over = own.is_shut(UnixEndpoint::kShutReceive);
    if (is_over && (request.waits() || own.is_connection_based())) return Ref<UnixMessage>();
    if (!request.waits()) return Errno::kAGAIN;
    TRY(wait_on(
        own.readable_, [&] { return own.packet_count_.load(memory_order_acquire) != 0 || own.is_shut(UnixEndpoint::kShutReceive); },
        deadline, true));
  }
}

Result<size_t> UnixPacketSocket::receive(ReceiveRequest& request) {
  UnixEndpoint& own = endpoint();
  if (own.is_connection_based() && own.state() != UnixEndpoint::State::kConnected) return Errno::kNOTCONN;
  if (request.flags & abi::kMessageOutOfBand) return Errno::kOPNOTSUPP;
  Ref<UnixMessage> packet = TRY(next_packet(request));
  if (!packet) return size_t{0};
  if (own.packet_count_.load(memory_order_acquire) != 0) own.readable_.wake(kPollIn | kPollReadNormal);  // for another who sleeps
  if (request.from) unix_tell_sender(*packet->sender, *request.from);
  const uint32_t whole = packet->packet.bytes();
  uint32_t part = whole;
  if (request.data.remaining() < whole) {
    part = static_cast<uint32_t>(request.data.remaining());
    request.told_flags |= abi::kMessageTruncated;
  }
  TRY(packet->packet.copy(request.data, part));
  UnixArrival arrival;
  arrival.wants_credentials = has_option(abi::kOptionPassCredentials);
  arrival.take_credentials(*packet);
  arrival.files = packet->files;  // who peeks at it may be copying this reference at the same time: it never changes
  arrival.deliver(request.control, request.flags, request.told_flags);
  return request.flags & abi::kMessageTruncated ? whole : part;
}

uint32_t UnixPacketSocket::bytes_to_read() {
  LockGuard guard(unix_lock);
  uint32_t sum = 0;
  for (UnixMessage& packet : endpoint().packets_) {
    sum += packet.packet.bytes();
    if (!endpoint().is_connection_based()) break;
  }
  return sum;
}

uint32_t UnixPacketSocket::poll(PollTable* table) {
  UnixEndpoint& own = endpoint();
  uint32_t events = poll_connection(table);
  if (is_listening() || !own.is_writable()) return events;
  {
    LockGuard guard(unix_lock);
    UnixEndpoint* peer = own.peer();
    if (peer && is_full_for(own, *peer)) {
      // Its reader will wake those in the list, once for each look; a queue of the peer's would outlive this socket's connection with it.
      if (!static_cast<ListNode<StalledTag>&>(own).is_linked()) peer->stalled_.push_back(own);
      return events;
    }
  }
  return events | kPollOut | kPollWriteNormal | kPollWriteBand;
}

// Replaces the peer of a datagram socket, perhaps by none. What lies in its queue from others stays; who was connected back learns of it.
void UnixPacketSocket::connect_datagrams(Ref<UnixEndpoint> peer) {
  UnixEndpoint& own = endpoint();
  Ref<UnixEndpoint> old;
  bool old_is_told = false;
  {
    LockGuard guard(unix_lock);
    if (static_cast<ListNode<StalledTag>&>(own).is_linked()) static_cast<ListNode<StalledTag>&>(own).unlink();
    UnixEndpoint* now = peer.get();
    own.state_.store(now ? UnixEndpoint::State::kConnected : UnixEndpoint::State::kUnconnected, memory_order_release);
    old = Ref<UnixEndpoint>::adopt(own.peer_.exchange(peer.leak(), memory_order_acq_rel));
    if (old && old.get() != now && old->peer() == &own && !old->dead_.load(memory_order_relaxed)) {
      old->error_.store(Errno::kCONNRESET, memory_order_release);
      old_is_told = true;
    }
  }
  if (old_is_told) old->wake_all_sides();
  own.wake_writers();
}

Result<void> UnixPacketSocket::connect(const SocketAddress& address, bool waits) {
  if (endpoint().is_connection_based()) return UnixSocket::connect(address, waits);
  if (address.bytes < sizeof(uint16_t)) return Errno::kINVAL;
  if (address.family() == abi::kFamilyUnspecified) {
    connect_datagrams({});
    return {};
  }
  TRY(unix_check_address(address));
  TRY(name_if_credentials_pass());
  for (;;) {
    Ref<UnixEndpoint> peer = TRY(unix_find(address, type()));
    {
      LockGuard guard(unix_lock);
      if (peer->dead_.load(memory_order_relaxed)) continue;
      if (!may_send(endpoint(), *peer)) return Errno::kPERM;
    }
    connect_datagrams(std::move(peer));
    return {};
  }
}

}  // namespace

Result<Ref<UnixSocket>> unix_packet_create(Ref<Inode> inode, uint32_t flags, uint32_t protocol, Ref<UnixEndpoint> endpoint) {
  return Ref<UnixSocket>(
      Ref<UnixPacketSocket>::adopt(TRY(slab_new<UnixPacketSocket>(std::move(inode), flags, protocol, std::move(endpoint)))));
}

}  // namespace faultline
