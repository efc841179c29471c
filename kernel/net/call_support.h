// What the socket calls share: sockets by descriptor, addresses to and from the caller.
#pragma once

#include "kernel/files/support.h"
#include "kernel/net/socket.h"

namespace faultline {

// An open socket, borrowed for one call.
class SocketHandle {
 public:
  explicit SocketHandle(FileHandle file) : file_(std::move(file)) {}
  Socket* operator->() const { return file_->socket(); }
  Socket& operator*() const { return *file_->socket(); }

 private:
  FileHandle file_;
};

// kBADF, kNOTSOCK.
inline Result<SocketHandle> socket_at(int32_t descriptor) {
  FileHandle file = TRY(descriptor_file(descriptor));
  if (!file->socket()) return Errno::kNOTSOCK;
  return SocketHandle(std::move(file));
}

// accept4(2) once `socket` is known: the new descriptor.
Result<void> check_accept_flags(uint32_t flags);  // kINVAL
Result<uint32_t> accept_connection(Socket& socket, VirtAddr address, UserPtr<int32_t> bytes, uint32_t flags, bool waits);
// kINVAL for an impossible length, kFAULT.
Result<void> read_address(SocketAddress& address, VirtAddr from, int32_t bytes);
// As much of the address as `bytes` has room for; `bytes` then says how long it is. kFAULT, kINVAL.
Result<void> write_address(const SocketAddress& address, VirtAddr to, UserPtr<int32_t> bytes);

}  // namespace faultline
