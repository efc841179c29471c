// Names and places of the file calls, and what fs asks of the running process.
#include "kernel/files/support.h"

#include "fs/hooks.h"
#include "kernel/signal.h"

namespace faultline {

Result<void> UserPath::read(UserPtr<const char> source) {
  int32_t length = user_copy_string_in(short_, source.address(), sizeof short_);
  if (length < 0) return Errno::kFAULT;
  if (static_cast<size_t>(length) < sizeof short_) [[likely]] {
    text_ = {short_, static_cast<size_t>(length)};
    return {};
  }
  long_ = TRY(Buffer<char>::create(kPathLimit));
  length = user_copy_string_in(long_.data(), source.address(), kPathLimit);
  if (length < 0) return Errno::kFAULT;
  if (static_cast<uint32_t>(length) >= kPathLimit) return Errno::kNAMETOOLONG;
  text_ = {long_.data(), static_cast<size_t>(length)};
  return {};
}

Result<Path> descriptor_path(int32_t descriptor) {
  return path_of_file(*TRY(current_process().descriptors().get(static_cast<uint32_t>(descriptor))));
}

Result<void> AtCaller::start_at(int32_t directory, const UserPath& name) {
  if (directory == kAtCurrentDirectory || name.is_absolute()) return {};
  FileHandle file = TRY(current_process().descriptors().get(static_cast<uint32_t>(directory)));
  if (name.empty()) return {};  // kNOENT comes from the walk
  if (!file->inode() || !file->inode()->is_directory() || !file->path()) return Errno::kNOTDIR;
  base_ = file->path();
  caller_.base = &base_;
  return {};
}

Result<Path> resolve_at(int32_t directory, UserPtr<const char> user_name, uint32_t flags) {
  UserPath name;
  TRY(name.read(user_name));
  if (name.empty() && (flags & kAtEmptyPath)) {
    if (directory == kAtCurrentDirectory) return current_process().names().current();
    return descriptor_path(directory);
  }
  AtCaller caller;
  TRY(caller.start_at(directory, name));
  return path_resolve(caller, name.text(), flags & kAtSymlinkNoFollow ? FollowLast::kNo : FollowLast::kYes);
}

namespace {
// kAGAIN cannot be: standard signals do not queue. A thread of the kernel's that works for a process has no signals of its own.
void signal_to_self(Signal signal) {
  const SignalInfo info = signal_info_from_kernel(signal);
  ignore_result(running_thread().id() != 0 ? signal_send_thread(running_thread(), info) : signal_send(current_process(), info));
}
}  // namespace

bool current_is_superuser() { return running_thread().is_kernel_thread() || current_process().credentials().is_superuser(); }
uint64_t current_file_size_limit() { return current_process().limit(Resource::kFileSize); }
void signal_file_size_exceeded() { signal_to_self(Signal::kFileLimit); }
void signal_broken_pipe() { signal_to_self(Signal::kPipe); }

}  // namespace faultline
