// Faultline's own calls for messages; their structures are in lib/abi/message.h.
#pragma once

#include "kernel/system_call.h"
#include "kernel/time.h"
#include "lib/abi/message.h"

namespace faultline {

Result<uint32_t> sys_msg_send(uint32_t to, VirtAddr data, uint32_t length, uint32_t flags, UserPtr<Timespec64> timeout);
Result<uint32_t> sys_msg_recv(uint32_t from, VirtAddr buffer, uint32_t capacity, UserPtr<abi::MessageSender> sender, uint32_t flags,
                              UserPtr<Timespec64> timeout);
Result<uint32_t> sys_msg_call(uint32_t to, UserPtr<abi::MessageExchange> exchange, uint32_t flags, UserPtr<Timespec64> timeout);
Result<uint32_t> sys_msg_fd(uint32_t flags);

}  // namespace faultline
