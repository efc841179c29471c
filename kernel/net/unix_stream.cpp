// SOCK_STREAM: bytes in the receiver's ring. What came along with some of them (descriptors, credentials) is in marks beside it; without any, a
// message costs one copy in, one copy out, and no allocation.
#include "fs/hooks.h"
#include "kernel/net/unix_control.h"
#include "kernel/net/unix_in_flight.h"
#include "kernel/net/unix_socket.h"

namespace faultline {

namespace {

class UnixStream final : public UnixSocket {
 public:
  using UnixSocket::UnixSocket;
  ~UnixStream() override = default;

  Result<size_t> read(IoBuffer& buffer) override;
  Result<size_t> write(IoBuffer& buffer) override;
  Result<size_t> send(SendRequest& request) override;
  Result<size_t> receive(ReceiveRequest& request) override;
  uint32_t poll(PollTable* table) override;

 private:
  Result<size_t> send_bytes(IoBuffer& data, uint32_t flags, UnixAttachment& attached);
  Result<size_t> receive_bytes(IoBuffer& data, uint32_t flags, UnixArrival& arrival);
  Errno broken_pipe(uint32_t flags);
  uint32_t bytes_to_read() override { return endpoint().ring_.bytes(); }
  void destroy() override { slab_delete(this); }
};

Errno UnixStream::broken_pipe(uint32_t flags) {
  if (!(flags & abi::kMessageNoSignal)) signal_broken_pipe();
  return Errno::kPIPE;
}

// How much more of `from`'s bytes may be on their way to `to`.
uint32_t space_between(const UnixEndpoint& from, const UnixEndpoint& to) {
  uint32_t limit = from.send_limit_.load(memory_order_relaxed), used = to.stream_charge();
  if (limit > UnixEndpoint::kRingBytes) limit = UnixEndpoint::kRingBytes;
  return used < limit ? limit - used : 0;
}

// As much as there is room for; `mark`, if there is one, comes along with it. 0: there is no room, or nobody will read it.
[[gnu::always_inline]] inline Result<size_t> put(UnixEndpoint& from, UnixEndpoint& to, IoBuffer& data, Ref<UnixMessage>& mark) {
  LockGuard guard(to.queue_lock_);
  uint32_t space = space_between(from, to);
  if (space == 0 || to.is_deaf()) return size_t{0};
  size_t bytes = TRY(to.ring_.put(data, space));
  if (mark) [[unlikely]] {
    mark->begin = to.produced_;
    mark->end = to.produced_ + static_cast<uint32_t>(bytes);
    to.mark_charge_.fetch_add(UnixMessage::kOverhead, memory_order_relaxed);
    if (mark->files) {
      LockGuard in_flight(unix_lock);
      UnixInFlight::enter_locked(*mark->files, to);
    }
    to.marks_.push_back(*mark.leak());
  }
  to.produced_ += static_cast<uint32_t>(bytes);
  return bytes;
}

// Credentials go along as soon as one side wants them.
Result<Ref<UnixMessage>> mark_for(UnixAttachment& attached, bool credentials_pass) {
  if (credentials_pass) attached.add_own_credentials();
  if (attached.is_empty()) return Ref<UnixMessage>();
  Ref<UnixMessage> mark = TRY(UnixMessage::create());
  mark->files = std::move(attached.files);
  mark->has_credentials = attached.has_credentials;
  mark->credentials = attached.credentials;
  return mark;
}

[[gnu::always_inline]] inline Result<size_t> UnixStream::send_bytes(IoBuffer& data, uint32_t flags, UnixAttachment& attached) {
  UnixEndpoint& own = endpoint();
  UnixEndpoint* peer = own.peer();
  if (!peer) return Errno::kNOTCONN;
  size_t total = 0;
  const Deadline deadline = send_deadline();
  auto end = [&](Errno why) { return total != 0 ? Result<size_t>(total) : why; };
  Ref<UnixMessage> mark;
  while (data.remaining() != 0) {
    if (own.is_shut(UnixEndpoint::kShutSend) || peer->is_deaf()) return total != 0 ? Result<size_t>(total) : broken_pipe(flags);
    bool credentials_pass = own.passes_credentials_.load(memory_order_relaxed) || peer->passes_credentials_.load(memory_order_relaxed);
    if (!mark && (credentials_pass || !attached.is_empty())) [[unlikely]] {
      Result<Ref<UnixMessage>> made = mark_for(attached, credentials_pass);
      if (!made.ok()) return end(made.error());
      mark = made.release_value();
    }
    Result<size_t> moved = put(own, *peer, data, mark);
    if (!moved.ok()) return end(moved.error());
    total += moved.value();
    if (moved.value() != 0) {
      peer->readable_.wake(kPollIn | kPollReadNormal);
      continue;
    }
    if (peer->is_deaf()) continue;
    if (flags & abi::kMessageDontWait) return end(Errno::kAGAIN);
    Result<void> waited = wait_on(
        own.writable_, [&] { return space_between(own, *peer) != 0 || own.is_shut(UnixEndpoint::kShutSend) || peer->is_deaf(); }, deadline);
    if (!waited.ok()) return end(waited.error());
  }
  return total;
}

Result<size_t> UnixStream::write(IoBuffer& buffer) {
  UnixAttachment nothing;
  return send_bytes(buffer, may_not_wait(buffer) ? abi::kMessageDontWait : 0, nothing);
}

Result<size_t> UnixStream::send(SendRequest& request) {
  UnixAttachment attached;
  TRY(attached.read(request.control));
  if (request.flags & abi::kMessageOutOfBand) return Errno::kOPNOTSUPP;
  if (request.to) return endpoint().state() == UnixEndpoint::State::kConnected ? Errno::kISCONN : Errno::kOPNOTSUPP;
  return send_bytes(request.data, request.flags, attached);
}

// The first mark that is not before `at`.
UnixMessage* mark_at(UnixEndpoint& own, uint32_t at) REQUIRES(own.queue_lock_) {
  UnixMessage* mark = own.marks_.front();
  while (mark && static_cast<int32_t>(mark->end - at) <= 0) mark = own.marks_.next(*mark);
  return mark;
}

// Bytes before `at` are gone, and with them the marks that end there.
void consume(UnixEndpoint& own, uint32_t at) REQUIRES(own.queue_lock_) {
  own.ring_.drop(at - own.consumed_);
  own.consumed_ = at;
  while (UnixMessage* mark = own.marks_.front()) {
    if (static_cast<int32_t>(mark->end - at) > 0) return;
    own.marks_.remove(*mark);
    own.mark_charge_.fetch_sub(UnixMessage::kOverhead, memory_order_relaxed);
    mark->release();
  }
}

// One look at the queue: takes (or, with MSG_PEEK, copies) bytes up to the end of what came along with the same descriptors and, if they matter,
// the same credentials.
Result<size_t> take_between_marks(UnixEndpoint& own, IoBuffer& data, bool peeks, UnixArrival& arrival) REQUIRES(own.queue_lock_) {
  const uint32_t start = own.consumed_;
  uint32_t at = start;
  while (data.remaining() != 0 && at != own.produced_ && !arrival.files) {
    UnixMessage* mark = mark_at(own, at);
    const bool is_in_mark = mark && static_cast<int32_t>(at - mark->begin) >= 0;
    const uint32_t limit = (is_in_mark ? mark->end : mark ? mark->begin : own.produced_) - at;
    const abi::PeerCredentials credentials = is_in_mark && mark->has_credentials ? mark->credentials : UnixArrival().credentials;
    if (arrival.wants_credentials) {
      const bool is_first = at == start && !arrival.has_credentials;
      if (!is_first && memcmp(&credentials, &arrival.credentials, sizeof credentials) != 0) break;
      arrival.credentials = credentials;
      arrival.has_credentials = true;
    }
    Result<size_t> moved = own.ring_.peek(data, at - own.consumed_, limit);
    if (!moved.ok()) return at != start ? Result<size_t>(at - start) : moved;
    at += static_cast<uint32_t>(moved.value());
    if (is_in_mark && mark->files) arrival.files = peeks ? mark->files : std::move(mark->files);
    if (!peeks) consume(own, at);
  }
  if (arrival.files && !peeks) UnixInFlight::leave(*arrival.files);
  return at - start;
}

[[gnu::always_inline]] inline Result<size_t> UnixStream::receive_bytes(IoBuffer& data, uint32_t flags, UnixArrival& arrival) {
  UnixEndpoint& own = endpoint();
  if (own.state() != UnixEndpoint::State::kConnected) return Errno::kINVAL;
  const size_t low_water = receive_low_water(), wanted = data.remaining();
  const size_t target = flags & abi::kMessageWaitAll || wanted < low_water ? wanted : low_water;
  const Deadline deadline = receive_deadline();
  const bool peeks = flags & abi::kMessagePeek;
  size_t total = 0;
  auto end = [&](Errno why) { return total != 0 ? Result<size_t>(total) : why; };
  for (;;) {
    if (own.ring_.bytes() != 0) {
      own.queue_lock_.lock();
      Result<size_t> moved = size_t{0};
      if (own.marks_.is_empty() && !peeks) [[likely]] {
        moved = own.ring_.take(data);
        own.consumed_ += static_cast<uint32_t>(moved.value_or(0));
      } else {
        moved = take_between_marks(own, data, peeks, arrival);
      }
      const bool leaves_some = own.ring_.bytes() != 0;
      own.queue_lock_.unlock();
      if (leaves_some) own.readable_.wake(kPollIn | kPollReadNormal);
      if (!moved.ok()) return end(moved.error());
      total += moved.value();
      if (UnixEndpoint* peer = own.peer(); peer && peer->writable_.has_waiters() && peer->is_writable()) peer->wake_writers();
      if (moved.value() == 0 && leaves_some && (total != 0 || wanted == 0)) return total;  // other credentials; or nothing was asked for
    }
    // Who peeks never waits for more, as on Linux: what it has seen may be gone by then.
    if (total >= (target != 0 && !peeks ? target : 1) || arrival.files) return total;
    if (own.ring_.bytes() != 0) continue;
    if (Errno error = own.take_error(); error != Errno{}) return end(error);
    if (own.is_shut(UnixEndpoint::kShutReceive)) return total;
    if (flags & abi::kMessageDontWait) return end(Errno::kAGAIN);
    Result<void> waited = wait_on(
        own.readable_, [&] { return own.ring_.bytes() != 0 || own.is_shut(UnixEndpoint::kShutReceive); }, deadline, true);
    if (!waited.ok()) return end(waited.error());
  }
}

Result<size_t> UnixStream::read(IoBuffer& buffer) {
  if (buffer.remaining() == 0) return size_t{0};
  UnixArrival arrival;
  arrival.wants_credentials = has_option(abi::kOptionPassCredentials);
  return receive_bytes(buffer, may_not_wait(buffer) ? abi::kMessageDontWait : 0, arrival);
}

Result<size_t> UnixStream::receive(ReceiveRequest& request) {
  if (endpoint().state() != UnixEndpoint::State::kConnected) return Errno::kINVAL;
  if (request.flags & abi::kMessageOutOfBand) return Errno::kOPNOTSUPP;
  UnixArrival arrival;
  arrival.wants_credentials = has_option(abi::kOptionPassCredentials);
  size_t bytes = TRY(receive_bytes(request.data, request.flags, arrival));
  if (request.from && bytes != 0) unix_tell_sender(*endpoint().peer(), *request.from);
  arrival.deliver(request.control, request.flags, request.told_flags);
  return bytes;
}

uint32_t UnixStream::poll(PollTable* table) {
  uint32_t events = poll_connection(table);
  if (!is_listening() && endpoint().is_writable()) events |= kPollOut | kPollWriteNormal | kPollWriteBand;
  return events;
}

}  // namespace

Result<Ref<UnixSocket>> unix_stream_create(Ref<Inode> inode, uint32_t flags, uint32_t protocol, Ref<UnixEndpoint> endpoint) {
  return Ref<UnixSocket>(Ref<UnixStream>::adopt(TRY(slab_new<UnixStream>(std::move(inode), flags, protocol, std::move(endpoint)))));
}

}  // namespace faultline
