// clone3(2): clone's arguments as a structure that may grow. What it may hold beyond ours must be zero.
#include "kernel/calls.h"
#include "kernel/clone.h"

namespace faultline {

namespace {

// struct clone_args, as of Linux 5.7.
struct UserCloneArguments {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
constexpr uint32_t kFirstSize = 64;
static_assert(sizeof(UserCloneArguments) == 88);

constexpr uint64_t kClearHandlers = 1ull << 32;

Result<UserCloneArguments> read_arguments(VirtAddr from, uint32_t size) {
  if (size > kPageSize) return Errno::k2BIG;
  if (size < kFirstSize) return Errno::kINVAL;
  UserCloneArguments arguments{};
  uint32_t known = size < sizeof arguments ? size : static_cast<uint32_t>(sizeof arguments);
  for (uint32_t at = known; at < size;) {
    uint8_t rest[64];
    uint32_t piece = size - at < sizeof rest ? size - at : static_cast<uint32_t>(sizeof rest);
    TRY(user_read_bytes(rest, from + at, piece));
    for (uint32_t i = 0; i < piece; i++)
      if (rest[i] != 0) return Errno::k2BIG;
    at += piece;
  }
  TRY(user_read_bytes(&arguments, from, known));
  return arguments;
}

// The stack is given by its lowest byte and its size, both or neither.
bool is_stack_right(const UserCloneArguments& user) {
  if (user.stack == 0) return user.stack_size == 0;
  return user.stack_size != 0 && user.stack < kKernelBase && user.stack_size <= kKernelBase - user.stack;
}

Result<CloneArguments> decode(const UserCloneArguments& user) {
  if (user.set_tid != 0 || user.set_tid_size != 0) return Errno::kINVAL;  // numbers are the kernel's to choose
  if (user.flags & ~(kClearHandlers | kCloneKnown)) return Errno::kINVAL;
  auto flags = static_cast<uint32_t>(user.flags);
  bool clears = user.flags & kClearHandlers;
  if ((flags & kCloneDetached) || (clears && (flags & kCloneSighand))) return Errno::kINVAL;
  if (user.exit_signal > static_cast<uint64_t>(Signal::kLast)) return Errno::kINVAL;
  if ((flags & (kCloneThread | kCloneParent)) && user.exit_signal != 0) return Errno::kINVAL;
  if (!is_stack_right(user)) return Errno::kINVAL;
  CloneArguments arguments;
  arguments.flags = flags;
  arguments.exit_signal = static_cast<Signal>(user.exit_signal);
  arguments.stack = static_cast<uint32_t>(user.stack + user.stack_size);
  arguments.clears_handlers = clears;
  arguments.parent_tid = UserPtr<uint32_t>(static_cast<uint32_t>(user.parent_tid));
  arguments.child_tid = UserPtr<uint32_t>(static_cast<uint32_t>(user.child_tid));
  arguments.tls = UserPtr<UserTlsDescriptor>(static_cast<uint32_t>(user.tls));
  return arguments;
}

}  // namespace

Result<uint32_t> sys_clone3(VirtAddr from, uint32_t size) {
  UserCloneArguments user = TRY(read_arguments(from, size));
  return clone(TRY(decode(user)));
}

}  // namespace faultline
