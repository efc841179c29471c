// An AF_UNIX socket as others see it: its open file may be closed while messages and peers still name it. What Linux calls a sock.
//
// Locks: unix_lock guards all that two sockets have to agree on; what is atomic there is written under it and may be read without it. The bytes of
// a stream are in the *receiver's* ring under its queue_lock_, which is held across user copies, so a sender holds the lock of the socket that it
// sends to, and no other. A connected stream keeps its peer until its own file is closed: calls on the file need no lock to follow peer_.
#pragma once

#include "fs/path.h"
#include "kernel/net/unix_message.h"
#include "lib/wait_queue.h"

namespace faultline {

class UnixSocket;
struct SocketAddress;

// An address that a socket is bound to; it never changes.
struct UnixName final : public RefCounted<UnixName> {
  static void destroy(UnixName* name) { slab_delete(name); }
  static constexpr uint32_t kFamilyBytes = 2, kLimit = sizeof(abi::UnixAddress) + 1;  // the NUL of the longest path is told too
  StringView text() const { return {address + kFamilyBytes, bytes - kFamilyBytes}; }
  bool is_abstract() const { return !place; }
  uint32_t bytes = 0;      // of `address`
  char address[kLimit]{};  // the family, then the name: a path with its NUL, or an abstract one
  Path place;              // the inode of a path name
};

struct AllEndpointsTag;
struct NamedTag;
struct StalledTag;
struct InFlightTag;
struct ReachedTag;

class UnixEndpoint final : public RefCounted<UnixEndpoint>,
                           public ListNode<AllEndpointsTag>,
                           public ListNode<NamedTag>,
                           public ListNode<StalledTag>,
                           public ListNode<InFlightTag>,
                           public ListNode<ReachedTag> {
 public:
  enum class State : uint8_t { kUnconnected, kListening, kConnected };
  static constexpr uint32_t kShutReceive = 1, kShutSend = 2, kShutBoth = 3;
  static constexpr uint32_t kRingBytes = 212992;
  static constexpr uint32_t kPacketBacklog = 10;  // net.unix.max_dgram_qlen

  static Result<Ref<UnixEndpoint>> create(uint32_t type);
  static void destroy(UnixEndpoint* endpoint);

  bool is_connection_based() const { return type_ != abi::kSocketDatagram; }
  bool is_stream() const { return type_ == abi::kSocketStream; }
  bool is_shut(uint32_t side) const { return shut_.load(memory_order_acquire) & side; }
  // Nobody will ever read what is sent to it.
  bool is_deaf() const { return is_shut(kShutReceive) || dead_.load(memory_order_acquire); }
  State state() const { return state_.load(memory_order_acquire); }
  UnixEndpoint* peer() const { return peer_.load(memory_order_acquire); }
  Ref<UnixName> name();
  Errno take_error() { return error_.exchange(Errno{}, memory_order_acq_rel); }
  bool has_too_many_packets() const { return packet_count_.load(memory_order_acquire) > backlog_.load(memory_order_relaxed); }

  // How much of its sender's buffer this stream's ring holds.
  uint32_t stream_charge() const { return ring_.bytes() + mark_charge_.load(memory_order_relaxed); }
  // How much is on its way from this one, by its type.
  uint32_t charge_on_its_way() const;
  // Linux' rule for POLLOUT: three quarters are free.
  bool is_writable() const { return charge_on_its_way() * 4 <= send_limit_.load(memory_order_relaxed); }

  // Something changed for its reader, for its writers.
  void wake_readers(uint32_t events) { readable_.wake_all(events); }
  void wake_writers(uint32_t events = kPollOut | kPollWriteNormal | kPollWriteBand) { writable_.wake_all(events); }
  void wake_all_sides() {
    readable_.wake_all();
    writable_.wake_all();
    room_.wake_all();
  }

  void wake_stalled_locked() REQUIRES(unix_lock);
  // Its file is closed: takes leave of peers and name, and drops what nobody can read any more. True: there were files in it.
  bool file_closed();

  const uint32_t type_;
  // Guarded by unix_lock.
  UnixSocket* file_ = nullptr;  // null once it is closed
  Atomic<State> state_{State::kUnconnected};
  Atomic<UnixEndpoint*> peer_{nullptr};  // holds a reference
  Atomic<uint32_t> shut_{0};
  Atomic<bool> dead_{false};
  Atomic<Errno> error_{Errno{}};  // told once; whoever reads it takes it
  bool is_embryo_ = false;        // connected, not accepted
  Ref<UnixName> name_;            // set once
  bool is_naming_ = false;        // bind is under way
  abi::PeerCredentials own_credentials_{0, ~0u, ~0u}, peer_credentials_{0, ~0u, ~0u};
  List<UnixMessage> packets_;  // or connections, of one that listens
  Atomic<uint32_t> packet_count_{0}, backlog_{kPacketBacklog};
  List<UnixEndpoint, StalledTag> stalled_;  // datagram sockets that poll for room in packets_
  List<FileBundle, BundleTag> bundles_;     // those in its queues
  // In flight: how many references to its file are in queues; and the collector's notes.
  Atomic<uint32_t> in_flight_{0};
  uint32_t inner_ = 0;
  bool is_reached_ = false;

  // A stream's bytes and what came along with them.
  Mutex<LockRank::kPipe> queue_lock_;
  ByteRing ring_;                                    // changed under queue_lock_
  List<UnixMessage> marks_ GUARDED_BY(queue_lock_);  // in order, without overlap
  uint32_t produced_ GUARDED_BY(queue_lock_) = 0;    // positions in the stream, modulo 2^32
  uint32_t consumed_ GUARDED_BY(queue_lock_) = 0;
  Atomic<uint32_t> mark_charge_{0};  // written under queue_lock_

  Atomic<uint32_t> packet_charge_{0};  // of the packets it has sent and nobody has received
  Atomic<uint32_t> send_limit_{kRingBytes};
  Atomic<bool> passes_credentials_{false};  // SO_PASSCRED
  WaitQueue readable_, writable_;           // for its own file
  WaitQueue room_;                          // for others who wait for room in packets_

 private:
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  explicit UnixEndpoint(uint32_t type) : type_(type) {}
  ~UnixEndpoint() = default;
  void leave_peer_locked(UnixEndpoint& peer) REQUIRES(unix_lock);
};

void unix_connect_locked(UnixEndpoint& one, UnixEndpoint& other) REQUIRES(unix_lock);
// For walks over all of them: the one after `after`, or the first.
Ref<UnixEndpoint> unix_next_endpoint(UnixEndpoint* after);
void unix_endpoints_initialize();  // boot

// Takes the oldest packet or connection, or null; those who waited for room are woken.
Ref<UnixMessage> unix_take_packet(UnixEndpoint& endpoint);
// The endpoint at `peer` with a reference, or null.
Ref<UnixEndpoint> unix_peer_of(UnixEndpoint& endpoint);

// The names: unix_names.cpp.
void unix_names_initialize();  // boot
// The socket that an address means, which is of that type. kCONNREFUSED, kPROTOTYPE, and the errors of a path.
Result<Ref<UnixEndpoint>> unix_find(const SocketAddress& address, uint32_t type);
// kINVAL unless it is an address of this family with a name.
Result<void> unix_check_address(const SocketAddress& address);
Result<void> unix_bind(UnixEndpoint& endpoint, const SocketAddress& address, uint32_t mode);
// An abstract name of the kernel's choice, if it has none. kNOSPC, kNOMEM.
Result<void> unix_bind_automatically(UnixEndpoint& endpoint);
void unix_forget_name_locked(UnixEndpoint& endpoint) REQUIRES(unix_lock);

}  // namespace faultline
