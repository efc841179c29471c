// The handlers of socket calls, by theme. What each does is in the manual (section 2) under its name.
#pragma once

#include "kernel/system_call.h"
#include "kernel/time.h"
#include "lib/abi/socket.h"

namespace faultline {

// kernel/net/socket_calls.cpp
Result<uint32_t> sys_socketcall(uint32_t call, UserPtr<const uint32_t> arguments);
Result<uint32_t> sys_socket(uint32_t family, uint32_t type, uint32_t protocol);
Result<uint32_t> sys_socketpair(uint32_t family, uint32_t type, uint32_t protocol, UserPtr<uint32_t> pair);
Result<uint32_t> sys_bind(int32_t descriptor, VirtAddr address, int32_t bytes);
Result<uint32_t> sys_connect(int32_t descriptor, VirtAddr address, int32_t bytes);
Result<uint32_t> sys_listen(int32_t descriptor, uint32_t backlog);
Result<uint32_t> sys_accept4(int32_t descriptor, VirtAddr address, UserPtr<int32_t> bytes, uint32_t flags);
Result<uint32_t> sys_getsockname(int32_t descriptor, VirtAddr address, UserPtr<int32_t> bytes);
Result<uint32_t> sys_getpeername(int32_t descriptor, VirtAddr address, UserPtr<int32_t> bytes);
Result<uint32_t> sys_shutdown(int32_t descriptor, uint32_t how);
Result<uint32_t> sys_setsockopt(int32_t descriptor, uint32_t level, uint32_t name, UserPtr<const void> value, int32_t bytes);
Result<uint32_t> sys_getsockopt(int32_t descriptor, uint32_t level, uint32_t name, UserPtr<void> value, UserPtr<int32_t> bytes);

// kernel/net/message_calls.cpp
Result<uint32_t> sys_sendto(int32_t descriptor, VirtAddr data, uint32_t bytes, uint32_t flags, VirtAddr address, int32_t address_bytes);
Result<uint32_t> sys_recvfrom(int32_t descriptor, VirtAddr data, uint32_t bytes, uint32_t flags, VirtAddr address,
                              UserPtr<int32_t> address_bytes);
Result<uint32_t> sys_sendmsg(int32_t descriptor, UserPtr<abi::MessageHeader> message, uint32_t flags);
Result<uint32_t> sys_recvmsg(int32_t descriptor, UserPtr<abi::MessageHeader> message, uint32_t flags);
Result<uint32_t> sys_sendmmsg(int32_t descriptor, UserPtr<abi::MultipleMessageHeader> messages, uint32_t count, uint32_t flags);
Result<uint32_t> sys_recvmmsg(int32_t descriptor, UserPtr<abi::MultipleMessageHeader> messages, uint32_t count, uint32_t flags,
                              UserPtr<Timespec32> time);
Result<uint32_t> sys_recvmmsg_time64(int32_t descriptor, UserPtr<abi::MultipleMessageHeader> messages, uint32_t count, uint32_t flags,
                                     UserPtr<Timespec64> time);

}  // namespace faultline
