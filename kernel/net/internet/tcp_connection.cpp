// TCP connections: see tcp_connection.h.
#include "kernel/net/internet/tcp_connection.h"

#include <lwip/priv/tcp_priv.h>
#include <lwip_hooks.h>

#include <algorithm>
#include <new>

#include "kernel/net/lwip/memory.h"

namespace faultline {

namespace {

constexpr uint32_t kInputEvents = kPollIn | kPollReadNormal, kOutputEvents = kPollOut | kPollWriteNormal;
constexpr uint8_t kPollInterval = 2;      // of on_poll, in half seconds
constexpr uint8_t kMostHalfOpen = 255;    // connections whose handshake is under way, of one listener: lwIP counts them in a byte
constexpr uint32_t kWindowStep = 0xffff;  // what lwIP takes at a time
// A window full of single bytes would be a hundred times its size in buffers. Beyond these lwIP keeps what comes next, takes no more, and offers it
// again by its timer.
constexpr uint32_t kMostBuffers = 4096;

TcpConnection& connection(void* self) { return *static_cast<TcpConnection*>(self); }

// Where a control block has its connection for on_freed(), which is told of its end on whatever way that comes; on_error() is not told of each.
constexpr u8_t kOwner = 0;

}  // namespace

TcpConnection* TcpConnection::create(tcp_pcb* block) {
  void* memory = network_allocate(sizeof(TcpConnection));
  if (!memory) return nullptr;
  TcpConnection* made = new (memory) TcpConnection;
  if (block) made->attach(block);
  return made;
}

void TcpConnection::attach(tcp_pcb* block) {
  pcb_ = block;
  static constexpr tcp_ext_arg_callbacks kCallbacks = {.destroy = &on_freed, .passive_open = nullptr};
  tcp_ext_arg_set_callbacks(block, kOwner, &kCallbacks);
  tcp_ext_arg_set(block, kOwner, this);
  tcp_arg(block, this);
  tcp_recv(block, &on_received);
  tcp_sent(block, &on_sent);
  tcp_err(block, &on_error);
  tcp_poll(block, &on_poll, kPollInterval);
  apply_settings();
}

void TcpConnection::set(const Settings& settings) {
  settings_ = settings;
  if (pcb_) apply_settings();
}

void TcpConnection::apply_settings() {
  enough_room_.store(settings_.send_limit / 3, memory_order_relaxed);
  pcb_->so_options = static_cast<u8_t>((pcb_->so_options & ~(SOF_REUSEADDR | SOF_KEEPALIVE)) |
                                       (settings_.reuse_address ? SOF_REUSEADDR : 0) | (settings_.keep_alive ? SOF_KEEPALIVE : 0));
  pcb_->ttl = settings_.time_to_live;
  pcb_->tos = settings_.type_of_service;
  if (state() == State::kListening) return;  // that is all its control block has
  if (settings_.no_delay)
    tcp_nagle_disable(pcb_);
  else
    tcp_nagle_enable(pcb_);
  pcb_->keep_idle = settings_.keep_idle * 1000;
  pcb_->keep_intvl = settings_.keep_interval * 1000;
  pcb_->keep_cnt = settings_.keep_count;
  publish_room();
}

// Whatever lwIP still does with the control block is its own affair.
void TcpConnection::detach() {
  if (!pcb_) return;
  entry_.remove();
  tcp_arg(pcb_, nullptr);
  tcp_ext_arg_set(pcb_, kOwner, nullptr);
  if (state() == State::kListening) {
    tcp_accept(pcb_, nullptr);
  } else {
    tcp_recv(pcb_, nullptr);
    tcp_sent(pcb_, nullptr);
    tcp_err(pcb_, nullptr);
    tcp_poll(pcb_, nullptr, 0);
    pcb_->connected = nullptr;
  }
  pcb_ = nullptr;
}

void TcpConnection::abort() {
  tcp_pcb* block = pcb_;
  if (state() == State::kListening) return;
  detach();
  if (block) tcp_abort(block);
  end(Errno{});
}

// Of those that nobody has accepted.
void TcpConnection::reset_pending() {
  while (TcpConnection* never_accepted = pending_.pop_front()) {
    never_accepted->abort();
    never_accepted->destroy();
  }
  pending_count_.store(0, memory_order_release);
}

void TcpConnection::disconnect() {
  tcp_pcb* block = pcb_;
  reset_pending();
  detach();
  if (block && tcp_close(block) != ERR_OK) tcp_abort(block);
  state_.store(State::kNew, memory_order_release);
  changed_.wake_all();
}

void TcpConnection::destroy() {
  reset_pending();
  tcp_pcb* block = pcb_;
  detach();
  received_.clear();
  // lwIP knows from its window whether bytes were left unread, and then resets the connection, as Linux does.
  if (block && tcp_close(block) != ERR_OK) tcp_abort(block);
  this->~TcpConnection();
  network_free(this);
}

Result<tcp_pcb*> TcpConnection::block() {
  if (pcb_) return pcb_;
  tcp_pcb* made = tcp_new_ip_type(IPADDR_TYPE_V4);
  if (!made) return Errno::kNOBUFS;
  attach(made);
  return made;
}

Result<void> TcpConnection::connect(const InternetEndpoint& to) {
  if (state() != State::kNew) return state() == State::kConnecting ? Errno::kALREADY : Errno::kISCONN;
  input_ended_.store(false, memory_order_release);  // as an attempt that failed has left them
  sending_shut_.store(false, memory_order_release);
  tcp_pcb* block = TRY(this->block());
  ip4_addr_t target = to.address;
  if (ip4_addr_isany_val(target)) IP4_ADDR(&target, 127, 0, 0, 1);
  // From one of our own addresses to itself.
  if (ip_addr_isany_val(block->local_ip) && lwip_port_route(&target)) ip_addr_copy(block->local_ip, target);
  const err_t error = tcp_connect(block, &target, to.port, &on_connected);
  if (error == ERR_BUF || error == ERR_USE) return Errno::kADDRNOTAVAIL;
  TRY(internet_result(error));
  entry_.add(*block);
  own_ = {block->local_ip, block->local_port};
  peer_ = {target, to.port};
  state_.store(State::kConnecting, memory_order_release);
  return {};
}

Result<void> TcpConnection::listen(uint32_t backlog) {
  if (state() != State::kListening) {
    tcp_pcb* block = TRY(this->block());
    if (block->local_port == 0) TRY(internet_result(tcp_bind(block, IP4_ADDR_ANY, 0)));
    err_t error = ERR_OK;
    tcp_ext_arg_set(block, kOwner, nullptr);
    tcp_pcb* listener = tcp_listen_with_backlog_and_err(block, kMostHalfOpen, &error);  // in place of `block`, which it frees
    if (!listener) {
      tcp_ext_arg_set(block, kOwner, this);
      return internet_result(error);
    }
    pcb_ = listener;
    own_ = {listener->local_ip, listener->local_port};
    state_.store(State::kListening, memory_order_release);
    tcp_arg(listener, this);
    tcp_accept(listener, &on_accept);
  }
  backlog_ = backlog;
  update_backlog();
  return {};
}

// As many handshakes may be under way as connections still fit the queue: those beyond get no answer and try again later.
void TcpConnection::update_backlog() {
  const uint32_t pending = pending_count_.load(memory_order_relaxed);
  const uint32_t room = backlog_ + 1 > pending ? backlog_ + 1 - pending : 0;
  reinterpret_cast<tcp_pcb_listen*>(pcb_)->backlog = static_cast<u8_t>(std::min<uint32_t>(room, kMostHalfOpen));
}

TcpConnection* TcpConnection::accept() {
  TcpConnection* oldest = pending_.pop_front();
  if (!oldest) return nullptr;
  pending_count_.store(pending_count_.load(memory_order_relaxed) - 1, memory_order_release);
  update_backlog();
  return oldest;
}

void TcpConnection::put_back(TcpConnection& accepted) {
  if (state() != State::kListening) return accepted.destroy();
  pending_.push_front(accepted);
  pending_count_.store(pending_count_.load(memory_order_relaxed) + 1, memory_order_release);
  update_backlog();
  changed_.wake(kInputEvents);
}

Result<void> TcpConnection::shut_sending() {
  if (sending_shut_.load(memory_order_relaxed)) return {};
  if (!pcb_) return state() == State::kEnded ? Result<void>() : Errno::kNOTCONN;
  TRY(internet_result(tcp_shutdown(pcb_, 0, 1)));
  sending_shut_.store(true, memory_order_release);
  if (has_ended_input()) {
    detach();
    state_.store(State::kEnded, memory_order_release);
  }
  changed_.wake_all();
  return {};
}

void TcpConnection::consume(uint32_t bytes) {
  received_.drop(bytes);
  received_bytes_.store(received_bytes() - bytes, memory_order_release);
  for (uint32_t left = bytes; pcb_ && left != 0;) {
    const uint32_t step = std::min(left, kWindowStep);
    tcp_recved(pcb_, static_cast<u16_t>(step));
    left -= step;
  }
}

void TcpConnection::publish_room() {
  uint32_t room = 0;
  if (pcb_ && pcb_->snd_queuelen < TCP_SND_QUEUELEN) {
    const uint32_t under_way = TCP_SND_BUF - pcb_->snd_buf;
    if (under_way < settings_.send_limit) room = std::min<uint32_t>(pcb_->snd_buf, settings_.send_limit - under_way);
  }
  send_room_.store(room, memory_order_seq_cst);
}

Result<size_t> TcpConnection::write(const uint8_t* data, uint32_t bytes, bool more) {
  if (!pcb_ || sending_shut_.load(memory_order_relaxed)) return Errno::kPIPE;  // perhaps since the caller looked
  bytes = std::min(bytes, send_room());
  if (bytes == 0) return size_t{0};
  const err_t error = tcp_write(pcb_, data, static_cast<u16_t>(bytes), TCP_WRITE_FLAG_COPY | (more ? TCP_WRITE_FLAG_MORE : 0));
  const bool has_whole_segments = pcb_->unsent && pcb_->unsent->next;
  if (error == ERR_OK && (!more || has_whole_segments)) tcp_output(pcb_);
  publish_room();
  if (error == ERR_MEM) {  // there is none until on_sent or on_poll finds some
    send_room_.store(0, memory_order_seq_cst);
    return size_t{0};
  }
  TRY(internet_result(error));
  return size_t{bytes};
}

void TcpConnection::end(Errno error) {
  entry_.remove();
  pcb_ = nullptr;
  publish_room();
  if (error != Errno{}) error_.store(error, memory_order_release);
  sending_shut_.store(true, memory_order_release);
  input_ended_.store(true, memory_order_release);
  state_.store(state() == State::kConnecting ? State::kNew : State::kEnded, memory_order_release);
  changed_.wake_all();
}

// --- lwIP's side: it holds the lock, which its C cannot say.

err_t TcpConnection::on_accept(void* self, tcp_pcb* block, err_t error) NO_THREAD_SAFETY_ANALYSIS {
  if (!block || error != ERR_OK) return ERR_VAL;
  TcpConnection& listener = connection(self);
  TcpConnection* made = create(block);
  if (!made) return ERR_MEM;  // which resets the connection
  made->set(listener.settings_);
  made->entry_.add(*block);
  made->own_ = {block->local_ip, block->local_port};
  made->peer_ = {block->remote_ip, block->remote_port};
  made->state_.store(State::kConnected, memory_order_release);
  listener.pending_.push_back(*made);
  listener.pending_count_.store(listener.pending_count_.load(memory_order_relaxed) + 1, memory_order_release);
  listener.update_backlog();
  listener.changed_.wake(kInputEvents);
  return ERR_OK;
}

err_t TcpConnection::on_connected(void* self, tcp_pcb*, err_t) NO_THREAD_SAFETY_ANALYSIS {
  TcpConnection& it = connection(self);
  it.publish_room();
  it.state_.store(State::kConnected, memory_order_release);
  it.changed_.wake_all(kOutputEvents);
  return ERR_OK;
}

err_t TcpConnection::on_received(void* self, tcp_pcb* block, pbuf* data, err_t) NO_THREAD_SAFETY_ANALYSIS {
  TcpConnection& it = connection(self);
  if (data) {
    // Once both sides have ended lwIP would not offer it again, nor tell of the end: this is the last that comes, and is taken.
    const bool is_last = block->state == CLOSING || block->state == LAST_ACK || block->state == TIME_WAIT;
    if (it.received_.buffers() >= kMostBuffers && !is_last) return ERR_MEM;
    const uint32_t bytes = data->tot_len;
    it.received_.append(data);
    it.received_bytes_.store(it.received_bytes() + bytes, memory_order_release);
    it.changed_.wake_all(kInputEvents);
    return ERR_OK;
  }
  it.input_ended_.store(true, memory_order_release);
  if (it.sending_shut_.load(memory_order_relaxed)) {
    it.detach();
    it.state_.store(State::kEnded, memory_order_release);
  }
  it.changed_.wake_all();
  return ERR_OK;
}

err_t TcpConnection::on_sent(void* self, tcp_pcb*, u16_t) NO_THREAD_SAFETY_ANALYSIS {
  TcpConnection& it = connection(self);
  it.publish_room();
  if (it.short_of_room_.load(memory_order_seq_cst) && it.send_room() >= it.enough_room()) {
    it.short_of_room_.store(false, memory_order_seq_cst);
    it.changed_.wake_all(kOutputEvents);
  }
  if (it.sending_shut_.load(memory_order_relaxed) && it.unacknowledged_bytes() == 0) it.changed_.wake_all();  // a close that lingers
  return ERR_OK;
}

// Once a second, for writers that lwIP had no memory for and that no acknowledgement will wake.
err_t TcpConnection::on_poll(void* self, tcp_pcb*) NO_THREAD_SAFETY_ANALYSIS {
  TcpConnection& it = connection(self);
  it.publish_room();
  if (it.short_of_room_.load(memory_order_seq_cst)) it.changed_.wake_all(kOutputEvents);
  return ERR_OK;
}

void TcpConnection::on_freed(u8_t, void* self) NO_THREAD_SAFETY_ANALYSIS {
  if (!self) return;
  TcpConnection& it = connection(self);
  it.entry_.remove();
  it.pcb_ = nullptr;
}

// The control block is gone, or about to go.
void TcpConnection::on_error(void* self, err_t error) NO_THREAD_SAFETY_ANALYSIS {
  if (!self) return;
  TcpConnection& it = connection(self);
  if (error == ERR_CLSD) return it.end(Errno{});
  if (error != ERR_RST) return it.end(Errno::kTIMEDOUT);
  it.end(it.state() == State::kConnecting ? Errno::kCONNREFUSED : it.has_ended_input() ? Errno::kPIPE : Errno::kCONNRESET);
}

}  // namespace faultline
