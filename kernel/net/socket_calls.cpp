// Calls that make, name, connect and configure sockets; and socketcall(2), the old door to all of them.
#include "kernel/net/address_family.h"
#include "kernel/net/call_support.h"
#include "kernel/net/calls.h"

namespace faultline {

Result<void> read_address(SocketAddress& address, VirtAddr from, int32_t bytes) {
  if (bytes < 0 || static_cast<uint32_t>(bytes) > sizeof address.data) return Errno::kINVAL;
  address.bytes = static_cast<uint32_t>(bytes);
  return user_read_bytes(address.data, from, address.bytes);
}

Result<void> write_address(const SocketAddress& address, VirtAddr to, UserPtr<int32_t> bytes) {
  int32_t room = TRY(user_read(bytes));
  if (room < 0) return Errno::kINVAL;
  uint32_t part = static_cast<uint32_t>(room) < address.bytes ? static_cast<uint32_t>(room) : address.bytes;
  TRY(user_write_bytes(to, address.data, part));
  return user_write(bytes, static_cast<int32_t>(address.bytes));
}

namespace {

constexpr uint32_t kTypeFlags = kOpenNonBlocking | kOpenCloseOnExec;

struct Wanted {
  const AddressFamily* family;
  uint32_t type, flags;
};

Result<Wanted> wanted_socket(uint32_t family, uint32_t type) {
  uint32_t flags = type & ~abi::kSocketTypeMask;
  type &= abi::kSocketTypeMask;
  if (flags & ~kTypeFlags) return Errno::kINVAL;
  if (family >= abi::kFamilyLimit) return Errno::kAFNOSUPPORT;
  if (type >= abi::kSocketTypeLimit) return Errno::kINVAL;
  const AddressFamily* found = address_family(family);
  if (!found) return Errno::kAFNOSUPPORT;
  return Wanted{found, type, flags};
}

// Two descriptors that are told to the caller before they exist, so that nothing is left behind if that fails.
class DescriptorPair {
 public:
  DescriptorPair() : table_(current_process().descriptors()) {}
  DescriptorPair(const DescriptorPair&) = delete;
  DescriptorPair& operator=(const DescriptorPair&) = delete;
  ~DescriptorPair() {
    while (reserved_ != 0) table_.cancel(numbers_[--reserved_]);
  }
  Result<void> reserve(UserPtr<uint32_t> told) {
    for (; reserved_ < 2; reserved_++) numbers_[reserved_] = TRY(table_.reserve(descriptor_limit()));
    return user_write_bytes(told.address(), numbers_, sizeof numbers_);
  }
  void install(SocketPair pair, CloseOnExec close_on_exec) {
    table_.install(numbers_[0], std::move(pair.first), close_on_exec);
    table_.install(numbers_[1], std::move(pair.second), close_on_exec);
    reserved_ = 0;
  }

 private:
  DescriptorTable& table_;
  uint32_t numbers_[2], reserved_ = 0;
};

}  // namespace

Result<uint32_t> sys_socket(uint32_t family, uint32_t type, uint32_t protocol) {
  Wanted wanted = TRY(wanted_socket(family, type));
  Ref<Socket> made = TRY(wanted.family->create(wanted.type, protocol, wanted.flags & kOpenNonBlocking, caller_credentials()));
  return current_process().descriptors().add(std::move(made), close_on_exec_of(wanted.flags), descriptor_limit());
}

Result<uint32_t> sys_socketpair(uint32_t family, uint32_t type, uint32_t protocol, UserPtr<uint32_t> user_pair) {
  Wanted wanted = TRY(wanted_socket(family, type));
  DescriptorPair descriptors;
  TRY(descriptors.reserve(user_pair));
  if (!wanted.family->create_pair) return Errno::kOPNOTSUPP;
  SocketPair pair = TRY(wanted.family->create_pair(wanted.type, protocol, wanted.flags & kOpenNonBlocking, caller_credentials()));
  descriptors.install(std::move(pair), close_on_exec_of(wanted.flags));
  return 0u;
}

Result<uint32_t> sys_bind(int32_t descriptor, VirtAddr user_address, int32_t bytes) {
  SocketHandle socket = TRY(socket_at(descriptor));
  SocketAddress address;
  TRY(read_address(address, user_address, bytes));
  TRY(socket->bind(address));
  return 0u;
}

Result<uint32_t> sys_connect(int32_t descriptor, VirtAddr user_address, int32_t bytes) {
  SocketHandle socket = TRY(socket_at(descriptor));
  SocketAddress address;
  TRY(read_address(address, user_address, bytes));
  TRY(socket->connect(address, !socket->is_non_blocking()));
  return 0u;
}

Result<uint32_t> sys_listen(int32_t descriptor, uint32_t backlog) {
  SocketHandle socket = TRY(socket_at(descriptor));
  TRY(socket->listen(backlog < abi::kMaximumConnections ? backlog : abi::kMaximumConnections));
  return 0u;
}

Result<void> check_accept_flags(uint32_t flags) { return flags & ~kTypeFlags ? Result<void>(Errno::kINVAL) : Result<void>(); }

// The descriptor is set aside first: a connection that was taken must not be lost for want of one.
Result<uint32_t> accept_connection(Socket& socket, VirtAddr user_address, UserPtr<int32_t> bytes, uint32_t flags, bool waits) {
  DescriptorTable& table = current_process().descriptors();
  uint32_t made = TRY(table.reserve(descriptor_limit()));
  auto take = [&]() -> Result<Ref<Socket>> {
    Ref<Socket> connection = TRY(socket.accept(waits));
    if (flags & kOpenNonBlocking) connection->set_status_flags(connection->flags() | kOpenNonBlocking);
    if (user_address.value() == 0) return connection;
    SocketAddress address;
    if (!connection->peer_address(address).ok()) return Errno::kCONNABORTED;
    TRY(write_address(address, user_address, bytes));
    return connection;
  };
  Result<Ref<Socket>> connection = take();
  if (!connection.ok()) {
    table.cancel(made);
    return connection.error();
  }
  table.install(made, connection.release_value(), close_on_exec_of(flags));
  return made;
}

Result<uint32_t> sys_accept4(int32_t descriptor, VirtAddr address, UserPtr<int32_t> bytes, uint32_t flags) {
  SocketHandle socket = TRY(socket_at(descriptor));
  TRY(check_accept_flags(flags));
  return accept_connection(*socket, address, bytes, flags, !socket->is_non_blocking());
}

Result<uint32_t> sys_getsockname(int32_t descriptor, VirtAddr user_address, UserPtr<int32_t> bytes) {
  SocketHandle socket = TRY(socket_at(descriptor));
  SocketAddress address;
  TRY(socket->own_address(address));
  TRY(write_address(address, user_address, bytes));
  return 0u;
}

Result<uint32_t> sys_getpeername(int32_t descriptor, VirtAddr user_address, UserPtr<int32_t> bytes) {
  SocketHandle socket = TRY(socket_at(descriptor));
  SocketAddress address;
  TRY(socket->peer_address(address));
  TRY(write_address(address, user_address, bytes));
  return 0u;
}

Result<uint32_t> sys_shutdown(int32_t descriptor, uint32_t how) {
  SocketHandle socket = TRY(socket_at(descriptor));
  if (how > abi::kShutdownBoth) return Errno::kINVAL;
  TRY(socket->shutdown(how));
  return 0u;
}

Result<uint32_t> sys_setsockopt(int32_t descriptor, uint32_t level, uint32_t name, UserPtr<const void> value, int32_t bytes) {
  if (bytes < 0) return Errno::kINVAL;
  SocketHandle socket = TRY(socket_at(descriptor));
  TRY(socket->set_option(level, name, value, static_cast<uint32_t>(bytes)));
  return 0u;
}

Result<uint32_t> sys_getsockopt(int32_t descriptor, uint32_t level, uint32_t name, UserPtr<void> value, UserPtr<int32_t> bytes) {
  SocketHandle socket = TRY(socket_at(descriptor));
  int32_t room = TRY(user_read(bytes));
  if (room < 0) return Errno::kINVAL;
  uint32_t written = TRY(socket->get_option(level, name, value, static_cast<uint32_t>(room)));
  TRY(user_write(bytes, static_cast<int32_t>(written)));
  return 0u;
}

Result<uint32_t> sys_socketcall(uint32_t call, UserPtr<const uint32_t> arguments) {
  using enum abi::SocketCall;
  static constexpr uint8_t kArgumentCount[] = {0, 3, 3, 3, 2, 3, 3, 3, 4, 4, 4, 6, 6, 2, 5, 5, 3, 3, 4, 5, 4};
  if (call == 0 || call >= std::size(kArgumentCount)) return Errno::kINVAL;
  uint32_t a[6] = {};
  TRY(user_read_bytes(a, arguments.address(), kArgumentCount[call] * sizeof(uint32_t)));
  const auto descriptor = static_cast<int32_t>(a[0]), third = static_cast<int32_t>(a[2]), fifth = static_cast<int32_t>(a[4]);
  const VirtAddr second{a[1]};
  const UserPtr<int32_t> length{a[2]};
  switch (static_cast<abi::SocketCall>(call)) {
    case kSocket: return sys_socket(a[0], a[1], a[2]);
    case kBind: return sys_bind(descriptor, second, third);
    case kConnect: return sys_connect(descriptor, second, third);
    case kListen: return sys_listen(descriptor, a[1]);
    case kAccept: return sys_accept4(descriptor, second, length, 0);
    case kGetSocketName: return sys_getsockname(descriptor, second, length);
    case kGetPeerName: return sys_getpeername(descriptor, second, length);
    case kSocketPair: return sys_socketpair(a[0], a[1], a[2], UserPtr<uint32_t>(a[3]));
    case kSend: return sys_sendto(descriptor, second, a[2], a[3], VirtAddr{0}, 0);
    case kReceive: return sys_recvfrom(descriptor, second, a[2], a[3], VirtAddr{0}, UserPtr<int32_t>());
    case kSendTo: return sys_sendto(descriptor, second, a[2], a[3], VirtAddr{a[4]}, static_cast<int32_t>(a[5]));
    case kReceiveFrom: return sys_recvfrom(descriptor, second, a[2], a[3], VirtAddr{a[4]}, UserPtr<int32_t>(a[5]));
    case kShutdown: return sys_shutdown(descriptor, a[1]);
    case kSetOption: return sys_setsockopt(descriptor, a[1], a[2], UserPtr<const void>(a[3]), fifth);
    case kGetOption: return sys_getsockopt(descriptor, a[1], a[2], UserPtr<void>(a[3]), UserPtr<int32_t>(a[4]));
    case kSendMessage: return sys_sendmsg(descriptor, UserPtr<abi::MessageHeader>(a[1]), a[2]);
    case kReceiveMessage: return sys_recvmsg(descriptor, UserPtr<abi::MessageHeader>(a[1]), a[2]);
    case kAccept4: return sys_accept4(descriptor, second, length, a[3]);
    case kReceiveMultiple:
      return sys_recvmmsg(descriptor, UserPtr<abi::MultipleMessageHeader>(a[1]), a[2], a[3], UserPtr<Timespec32>(a[4]));
    case kSendMultiple: return sys_sendmmsg(descriptor, UserPtr<abi::MultipleMessageHeader>(a[1]), a[2], a[3]);
  }
  return Errno::kINVAL;
}

}  // namespace faultline
