// Endpoints: the list of all, connections between two, and the end of one.
#include "kernel/net/unix_endpoint.h"

#include "kernel/net/unix_in_flight.h"
#include "lib/late.h"

namespace faultline {

namespace {
constinit Late<List<UnixEndpoint, AllEndpointsTag>> all_endpoints GUARDED_BY(unix_lock);
}

void unix_endpoints_initialize() {
  LockGuard guard(unix_lock);
  all_endpoints.construct();
}

Result<Ref<UnixEndpoint>> UnixEndpoint::create(uint32_t type) {
  Ref<UnixEndpoint> endpoint = Ref<UnixEndpoint>::adopt(TRY(slab_new<UnixEndpoint>(type)));
  if (type == abi::kSocketStream) TRY(endpoint->ring_.reserve(kRingBytes));
  LockGuard guard(unix_lock);
  all_endpoints->push_back(*endpoint);
  return endpoint;
}

void UnixEndpoint::destroy(UnixEndpoint* endpoint) {
  {
    LockGuard guard(unix_lock);
    if (static_cast<ListNode<AllEndpointsTag>*>(endpoint)->is_linked()) all_endpoints->remove(*endpoint);
  }
  slab_delete(endpoint);
}

Ref<UnixEndpoint> unix_next_endpoint(UnixEndpoint* after) {
  LockGuard guard(unix_lock);
  UnixEndpoint* next = after ? all_endpoints->next(*after) : all_endpoints->front();
  while (next && !next->try_acquire()) next = all_endpoints->next(*next);
  return Ref<UnixEndpoint>::adopt(next);
}

Ref<UnixName> UnixEndpoint::name() {
  LockGuard guard(unix_lock);
  return name_;
}

Ref<UnixEndpoint> unix_peer_of(UnixEndpoint& endpoint) {
  LockGuard guard(unix_lock);
  UnixEndpoint* peer = endpoint.peer();
  return peer ? Ref<UnixEndpoint>(*peer) : Ref<UnixEndpoint>();
}

uint32_t UnixEndpoint::charge_on_its_way() const {
  if (!is_stream()) return packet_charge_.load(memory_order_acquire);
  UnixEndpoint* to = peer();
  return to ? to->stream_charge() : 0;
}

void unix_connect_locked(UnixEndpoint& one, UnixEndpoint& other) {
  one.peer_.store(Ref<UnixEndpoint>(other).leak(), memory_order_release);
  other.peer_.store(Ref<UnixEndpoint>(one).leak(), memory_order_release);
  one.state_.store(UnixEndpoint::State::kConnected, memory_order_release);
  other.state_.store(UnixEndpoint::State::kConnected, memory_order_release);
}

Ref<UnixMessage> unix_take_packet(UnixEndpoint& endpoint) {
  Ref<UnixMessage> taken;
  {
    LockGuard guard(unix_lock);
    taken = Ref<UnixMessage>::adopt(endpoint.packets_.pop_front());
    if (!taken) return {};
    endpoint.packet_count_.fetch_sub(1, memory_order_acq_rel);
    if (taken->files) UnixInFlight::leave_locked(*taken->files);
    endpoint.wake_stalled_locked();
  }
  endpoint.room_.wake_all();
  return taken;
}

void UnixEndpoint::wake_stalled_locked() {
  while (UnixEndpoint* sender = stalled_.pop_front()) sender->wake_writers();
}

// What the end of one side means for the other: nothing more will come, and what was not read is lost.
void UnixEndpoint::leave_peer_locked(UnixEndpoint& peer) {
  if (!is_connection_based()) return;
  bool loses_something = ring_.bytes() != 0 || !packets_.is_empty() || is_embryo_;
  peer.shut_.store(kShutBoth, memory_order_release);
  if (loses_something) peer.error_.store(Errno::kCONNRESET, memory_order_release);
}

bool UnixEndpoint::file_closed() {
  Ref<UnixEndpoint> peer;
  List<UnixMessage> lost;
  bool held_files;
  {
    LockGuard guard(unix_lock);
    file_ = nullptr;
    dead_.store(true, memory_order_release);
    shut_.store(kShutBoth, memory_order_release);
    unix_forget_name_locked(*this);
    if (static_cast<ListNode<StalledTag>*>(this)->is_linked()) static_cast<ListNode<StalledTag>*>(this)->unlink();
    wake_stalled_locked();
    peer = Ref<UnixEndpoint>::adopt(peer_.exchange(nullptr, memory_order_acq_rel));
    if (peer) leave_peer_locked(*peer);
    state_.store(State::kUnconnected, memory_order_release);
    while (UnixMessage* packet = packets_.pop_front()) lost.push_back(*packet);
    packet_count_.store(0, memory_order_release);
  }
  wake_all_sides();
  if (peer && is_connection_based()) peer->wake_all_sides();
  {
    LockGuard guard(queue_lock_);  // who still sends to it now sees that it is dead
    ring_.clear();
    while (UnixMessage* mark = marks_.pop_front()) lost.push_back(*mark);
    LockGuard in_flight(unix_lock);
    held_files = !bundles_.is_empty();
    // Who sent them perhaps holds one still, and would leave a list of ours when we are gone.
    for (UnixMessage& message : lost)
      if (message.files) UnixInFlight::leave_locked(*message.files);
  }
  while (UnixMessage* message = lost.pop_front()) message->release();
  return held_files;
}

}  // namespace faultline
