// A TCP connection, or the end of one that listens, between lwIP and its open file: what arrived and was not read yet, and what became of it.
//
// lwIP's callbacks run under network_lock, change the fields here and wake. Only one thread reads at a time (read_lock_), so what the queue
// held when it looked stays there while it copies to user memory, which it does without network_lock.
//
// lwIP frees a control block by itself once both directions have ended; so a connection lets go of it (detach) as soon as nothing more can
// be heard of it.
#pragma once

#include <lwip/tcp.h>

#include "kernel/net/internet/address.h"
#include "kernel/net/internet/packet_queue.h"
#include "kernel/net/lwip/core.h"
#include "kernel/net/lwip/tcp_index.h"
#include "lib/list.h"
#include "lib/mutex.h"
#include "lib/wait_queue.h"

namespace faultline {

class TcpConnection final : public ListNode<> {
 public:
  // An attempt to connect that fails leads back to kNew, so that nothing was received before; an end of a connection is final.
  enum class State : uint8_t { kNew, kListening, kConnecting, kConnected, kEnded };

  // Without a control block if `block` is null. Null: no memory.
  static TcpConnection* create(tcp_pcb* block) REQUIRES(network_lock);
  // Takes leave of lwIP (close, or a reset if bytes were not read) and frees it with what it holds.
  void destroy() REQUIRES(network_lock);

  // Gives it a control block to be bound, if it has none. kNOBUFS.
  Result<tcp_pcb*> block() REQUIRES(network_lock);
  // kISCONN, kALREADY unless it is kNew: of two threads who try, one does.
  Result<void> connect(const InternetEndpoint& to) REQUIRES(network_lock);
  Result<void> listen(uint32_t backlog) REQUIRES(network_lock);
  // The oldest connection that nobody has accepted; null: none.
  TcpConnection* accept() REQUIRES(network_lock);
  // It could not be taken after all: the next accept shall have it.
  void put_back(TcpConnection& accepted) REQUIRES(network_lock);
  // Nothing more will be sent. kNOTCONN.
  Result<void> shut_sending() REQUIRES(network_lock);
  // Stops listening or connecting.
  void disconnect() REQUIRES(network_lock);
  // Ends it with a reset, which the peer sees and its own side does not.
  void abort() REQUIRES(network_lock);
  // Forgets `bytes` of what was received, and lets the peer send as many more.
  void consume(uint32_t bytes) REQUIRES(network_lock);

  // Sends up to `bytes` of what is copied from `data`; 0: there is no room now. With `more` to come it may wait for that.
  Result<size_t> write(const uint8_t* data, uint32_t bytes, bool more) REQUIRES(network_lock);
  uint32_t unacknowledged_bytes() const REQUIRES(network_lock) { return pcb_ ? TCP_SND_BUF - pcb_->snd_buf : 0; }

  // What setsockopt asks of lwIP: kept here, for there may be no control block yet, and for connections that a listener makes.
  struct Settings {
    bool no_delay = false, reuse_address = false, keep_alive = false;
    uint32_t send_limit = TCP_SND_BUF;              // bytes that may be under way: SO_SNDBUF
    uint32_t keep_idle = 7200, keep_interval = 75;  // seconds
    uint32_t keep_count = 9;
    uint8_t time_to_live = 64, type_of_service = 0;
  };
  const Settings& settings() const REQUIRES(network_lock) { return settings_; }
  void set(const Settings& settings) REQUIRES(network_lock);

  // What poll and waits look at, without the lock.
  State state() const { return state_.load(memory_order_acquire); }
  uint32_t received_bytes() const { return received_bytes_.load(memory_order_acquire); }
  bool has_ended_input() const { return input_ended_.load(memory_order_acquire); }
  bool has_pending() const { return pending_count_.load(memory_order_acquire) != 0; }
  // Room to send, with which a writer begins (or goes on) once it is a third of all. Without it, on_sent wakes whoever asked in vain.
  bool is_writable() {
    if (send_room() >= enough_room()) return true;
    short_of_room_.store(true, memory_order_seq_cst);
    return send_room() >= enough_room();
  }
  Errno error() const { return error_.load(memory_order_acquire); }
  Errno take_error() { return error_.exchange(Errno{}, memory_order_acq_rel); }

  tcp_pcb* pcb_ GUARDED_BY(network_lock) = nullptr;
  InternetEndpoint own_ GUARDED_BY(network_lock), peer_ GUARDED_BY(network_lock);
  Atomic<bool> receiving_shut_{false}, sending_shut_{false};  // by shutdown(2), or because it has ended
  Mutex<LockRank::kPipe> read_lock_;
  PacketQueue received_;  // appended to under network_lock; the reader takes from its front under both locks
  WaitQueue changed_;

 private:
  TcpConnection() = default;
  ~TcpConnection() = default;
  void attach(tcp_pcb* block) REQUIRES(network_lock);
  void detach() REQUIRES(network_lock);
  void end(Errno error) REQUIRES(network_lock);
  void update_backlog() REQUIRES(network_lock);
  void publish_room() REQUIRES(network_lock);
  uint32_t send_room() const { return send_room_.load(memory_order_seq_cst); }
  uint32_t enough_room() const { return enough_room_.load(memory_order_relaxed); }
  void apply_settings() REQUIRES(network_lock);
  void reset_pending() REQUIRES(network_lock);

  static err_t on_accept(void* self, tcp_pcb* block, err_t error);
  static err_t on_connected(void* self, tcp_pcb* block, err_t error);
  static err_t on_received(void* self, tcp_pcb* block, pbuf* data, err_t error);
  static err_t on_sent(void* self, tcp_pcb* block, u16_t bytes);
  static err_t on_poll(void* self, tcp_pcb* block);
  static void on_error(void* self, err_t error);
  static void on_freed(u8_t, void* self);

  Atomic<State> state_{State::kNew};
  Atomic<bool> input_ended_{false};
  Atomic<Errno> error_{Errno{}};
  Atomic<uint32_t> received_bytes_{0};
  Atomic<uint32_t> send_room_{0}, enough_room_{TCP_SND_BUF / 3};
  Atomic<bool> short_of_room_{false};
  List<TcpConnection> pending_ GUARDED_BY(network_lock);  // of one that listens
  Atomic<uint32_t> pending_count_{0};
  TcpIndexEntry entry_ GUARDED_BY(network_lock);
  uint32_t backlog_ GUARDED_BY(network_lock) = 0;
  Settings settings_ GUARDED_BY(network_lock);
};

}  // namespace faultline
