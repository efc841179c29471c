// The calls for messages: arguments, time-outs, and what an interruption means.
#include "kernel/messages/calls.h"

#include "fs/descriptor_table.h"
#include "kernel/files/support.h"
#include "kernel/messages/message_file.h"
#include "kernel/messages/rendezvous.h"
#include "kernel/process.h"
#include "kernel/scheduler.h"
#include "kernel/time_internal.h"

namespace faultline {

namespace {

Result<Deadline> deadline_of(UserPtr<Timespec64> timeout) {
  if (timeout.is_null()) [[likely]]
    return Deadline::never();
  Timespec64 time = TRY(user_read(timeout));
  return deadline_after(TRY(nanoseconds_of(time)));
}

// kINVAL, kMSGSIZE.
Result<void> check(uint32_t flags, uint32_t length) {
  if (flags & ~abi::kMessageTry) return Errno::kINVAL;
  return length > abi::kMessageLongest ? Result<void>(Errno::kMSGSIZE) : Result<void>();
}

// A wait without a time-out is started again after a handler with SA_RESTART, as long as nothing was sent.
Result<uint32_t> restartable(Result<uint32_t> result, Deadline deadline) {
  return !result.ok() && result.error() == Errno::kINTR && deadline.is_never() ? Errno::kRESTARTSYS : result;
}

Result<uint32_t> receive(const ReceiveRequest& request, Deadline deadline, UserPtr<abi::MessageSender> sender) {
  abi::MessageSender who;
  const uint32_t bytes = TRY(message_receive(request, deadline, who));
  if (!sender.is_null()) TRY(user_write(sender, who));
  return bytes;
}

}  // namespace

Result<uint32_t> sys_msg_send(uint32_t to, VirtAddr data, uint32_t length, uint32_t flags, UserPtr<Timespec64> timeout) {
  TRY(check(flags, length));
  const Deadline deadline = TRY(deadline_of(timeout));
  return restartable(message_send({to, data, length, flags}, deadline), deadline);
}

Result<uint32_t> sys_msg_recv(uint32_t from, VirtAddr buffer, uint32_t capacity, UserPtr<abi::MessageSender> sender, uint32_t flags,
                              UserPtr<Timespec64> timeout) {
  TRY(check(flags, 0));
  const Deadline deadline = TRY(deadline_of(timeout));
  return restartable(receive({from, buffer, capacity, flags}, deadline, sender), deadline);
}

Result<uint32_t> sys_msg_call(uint32_t to, UserPtr<abi::MessageExchange> exchange, uint32_t flags, UserPtr<Timespec64> timeout) {
  const abi::MessageExchange what = TRY(user_read(exchange));
  TRY(check(flags, what.length));
  const Deadline deadline = TRY(deadline_of(timeout));
  TRY(restartable(message_send({to, VirtAddr(what.data), what.length, flags, true}, deadline), deadline));
  Result<uint32_t> received =
      receive({what.from, VirtAddr(what.buffer), what.capacity, 0}, deadline, UserPtr<abi::MessageSender>(what.sender));
  if (!received.ok()) scheduler_keep_running();  // perhaps it has not slept
  return received;
}

Result<uint32_t> sys_msg_fd(uint32_t flags) {
  if (flags & ~kOpenCloseOnExec) return Errno::kINVAL;
  return current_process().descriptors().add(TRY(MessageFile::of_running_thread()), close_on_exec_of(flags), descriptor_limit());
}

}  // namespace faultline
