// A socket: an open file with the operations of socket(2). What all families share is here (status, time-outs, the options of SOL_SOCKET);
// each family derives its own classes and registers how they are made (address_family.h).
//
// Operations may sleep. They are given addresses in kernel memory, and bytes as an IoBuffer, which follows user pointers: no spin lock may be
// held around it. What they do not override answers as Linux does for a family without it.
#pragma once

#include <span>

#include "arch/clock.h"
#include "fs/file.h"
#include "lib/abi/socket.h"
#include "mm/user_memory.h"

namespace faultline {

class ControlWriter;

// An address of any family, as the system calls have it: `bytes` of it are meant.
struct SocketAddress {
  uint32_t bytes = 0;
  alignas(uint64_t) uint8_t data[abi::kAddressLimit];

  // 0 (AF_UNSPEC) if it is too short to say.
  uint16_t family() const { return bytes < sizeof(uint16_t) ? 0 : *reinterpret_cast<const uint16_t*>(data); }
  template <typename T>
  const T& as() const {
    static_assert(sizeof(T) <= abi::kAddressLimit);
    return *reinterpret_cast<const T*>(data);
  }
  template <typename T>
  T& as() {
    static_assert(sizeof(T) <= abi::kAddressLimit);
    return *reinterpret_cast<T*>(data);
  }
};

// One send(2) in any of its forms. `flags` are MSG_*; kMessageDontWait is in them if the file does not block.
struct SendRequest {
  IoBuffer& data;
  uint32_t flags = 0;
  const SocketAddress* to = nullptr;
  std::span<const uint8_t> control{};  // ancillary messages, see control_message.h
  bool waits() const { return !(flags & abi::kMessageDontWait); }
};

// One recv(2) in any of its forms.
struct ReceiveRequest {
  IoBuffer& data;
  uint32_t flags = 0;
  SocketAddress* from = nullptr;     // filled in; 0 bytes: there is none to tell
  ControlWriter* control = nullptr;  // null: the caller has no room for ancillary data
  uint32_t told_flags = 0;           // msg_flags as the caller will see them
  bool waits() const { return !(flags & abi::kMessageDontWait); }
};

class Socket : public File {
 public:
  Socket(Ref<Inode> inode, uint32_t flags, uint32_t family, uint32_t type, uint32_t protocol)
      : File(std::move(inode), kOpenReadWrite | flags), family_(family), type_(type), protocol_(protocol) {}

  Socket* socket() override { return this; }
  uint32_t family() const { return family_; }
  uint32_t type() const { return type_; }
  uint32_t protocol() const { return protocol_; }

  // The system calls of these names; sections 2 and 7 of the manual have their errors. `waits` is false for files that do not block.
  virtual Result<void> bind(const SocketAddress& address) { return (void)address, Errno::kOPNOTSUPP; }
  virtual Result<void> connect(const SocketAddress& address, bool waits) { return (void)address, (void)waits, Errno::kOPNOTSUPP; }
  virtual Result<void> listen(uint32_t backlog) { return (void)backlog, Errno::kOPNOTSUPP; }  // 0 to kMaximumConnections
  virtual Result<Ref<Socket>> accept(bool waits) { return (void)waits, Errno::kOPNOTSUPP; }
  virtual Result<void> own_address(SocketAddress& address) { return (void)address, Errno::kOPNOTSUPP; }
  virtual Result<void> peer_address(SocketAddress& address) { return (void)address, Errno::kOPNOTSUPP; }
  virtual Result<void> shutdown(uint32_t how) { return (void)how, Errno::kOPNOTSUPP; }  // kShutdown…
  virtual Result<size_t> send(SendRequest& request) { return (void)request, Errno::kOPNOTSUPP; }
  virtual Result<size_t> receive(ReceiveRequest& request) { return (void)request, Errno::kOPNOTSUPP; }

  // setsockopt, getsockopt: what these do not know is for the base. The second returns how many bytes it wrote of at most `room`.
  virtual Result<void> set_option(uint32_t level, uint32_t name, UserPtr<const void> value, uint32_t bytes);
  virtual Result<uint32_t> get_option(uint32_t level, uint32_t name, UserPtr<void> value, uint32_t room);

  Result<size_t> read(IoBuffer& buffer) override;
  Result<size_t> write(IoBuffer& buffer) override;
  Result<size_t> read_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<void> synchronize(bool) override { return Errno::kINVAL; }
  void describe(FormatSink& sink) const override;

 protected:
  static constexpr uint32_t kDefaultBuffer = 212992;  // net.core.wmem_default

  // What options ask of the family.
  virtual Errno take_error() { return Errno{}; }  // SO_ERROR: told once; 0: none
  virtual bool is_listening() { return false; }
  virtual Result<abi::PeerCredentials> peer_credentials() { return Errno::kNOPROTOOPT; }
  virtual void option_changed(uint32_t name) { (void)name; }  // one of SOL_SOCKET is now as the functions below say

  // Options that are on or off, by their number.
  bool has_option(uint32_t name) const { return options_.load(memory_order_relaxed) & 1u << name; }
  abi::Linger linger() const { return linger_; }
  uint32_t send_buffer() const { return send_buffer_.load(memory_order_relaxed); }
  uint32_t receive_buffer() const { return receive_buffer_.load(memory_order_relaxed); }
  uint32_t receive_low_water() const { return receive_low_water_.load(memory_order_relaxed); }

  // When a call that begins now must stop waiting. SO_RCVTIMEO, SO_SNDTIMEO.
  Deadline receive_deadline() const { return deadline_of(receive_timeout_); }
  Deadline send_deadline() const { return deadline_of(send_timeout_); }
  // Sleeps until `condition()`. kAGAIN when time is up; a signal is kRESTARTSYS, or kINTR if there was a limit of time.
  template <typename Condition>
  static Result<void> wait_on(WaitQueue& queue, Condition condition, Deadline deadline, bool exclusive = false) {
    Result<void> result = wait_until(queue, condition, SleepKind::kInterruptible, deadline, exclusive);
    if (result.ok()) [[likely]]
      return result;
    if (result.error() == Errno::kTIMEDOUT) return Errno::kAGAIN;
    return deadline.is_never() && result.error() == Errno::kINTR ? Errno::kRESTARTSYS : result.error();
  }

 private:
  using Timeout = Atomic<uint64_t>;  // nanoseconds, or Deadline::kNever
  static Deadline deadline_of(const Timeout& timeout);
  Result<void> set_socket_option(uint32_t name, UserPtr<const void> value, uint32_t bytes);
  Result<void> set_timeout(Timeout& timeout, bool is_wide, UserPtr<const void> value, uint32_t bytes);
  Result<uint32_t> get_socket_option(uint32_t name, UserPtr<void> value, uint32_t room);

  const uint32_t family_, type_, protocol_;
  // Each word stands for itself; two who set one at the same time end with the value of either.
  Atomic<uint32_t> options_{0};
  Atomic<uint32_t> send_buffer_{kDefaultBuffer}, receive_buffer_{kDefaultBuffer};
  Atomic<uint32_t> receive_low_water_{1}, priority_{0};
  Timeout receive_timeout_{Deadline::kNever}, send_timeout_{Deadline::kNever};
  abi::Linger linger_{};
};

// For option values: a whole T, or kINVAL if fewer bytes were given.
template <typename T>
Result<T> option_read(UserPtr<const void> value, uint32_t bytes) {
  if (bytes < sizeof(T)) return Errno::kINVAL;
  return user_read(value.as<T>());
}
// As much as there is room for.
template <typename T>
Result<uint32_t> option_write(UserPtr<void> value, uint32_t room, const T& what) {
  uint32_t bytes = room < sizeof(T) ? room : static_cast<uint32_t>(sizeof(T));
  TRY(user_write_bytes(value.address(), &what, bytes));
  return bytes;
}

}  // namespace faultline
