// Opening, closing and duplicating descriptors; pipes; descriptors of kernel objects.
#include "fs/pipe.h"
#include "fs/tmpfs/tmpfs.h"
#include "kernel/files/calls.h"
#include "kernel/files/event_file.h"
#include "kernel/files/support.h"

namespace faultline {

namespace {

// A program that did not ask for 64-bit offsets cannot work on what they cannot reach.
Result<Ref<File>> checked_size(Ref<File> file, uint32_t flags) {
  Inode* inode = file->inode();
  if ((flags & (kOpenLargeFile | kOpenPath)) || !inode || inode->type() != FileType::kRegular || !inode->object()) return file;
  if (inode->object()->size() > 0x7fffffff) return Errno::kOVERFLOW;
  return file;
}

// The descriptor is set aside first: a full table must not leave a created file behind.
Result<uint32_t> open_at(int32_t directory, UserPtr<const char> user_name, uint32_t flags, uint32_t mode) {
  UserPath name;
  TRY(name.read(user_name));
  AtCaller caller;
  TRY(caller.start_at(directory, name));
  DescriptorTable& table = current_process().descriptors();
  uint32_t descriptor = TRY(table.reserve(descriptor_limit()));
  Result<Ref<File>> file = path_open(caller, name.text(), flags, mode);
  if (file.ok()) file = checked_size(file.release_value(), flags);
  if (!file.ok()) {
    table.cancel(descriptor);
    return file.error();
  }
  table.install(descriptor, file.release_value(), close_on_exec_of(flags));
  return descriptor;
}

}  // namespace

Result<uint32_t> sys_open(UserPtr<const char> name, uint32_t flags, uint32_t mode) {
  return open_at(kAtCurrentDirectory, name, flags, mode);
}
Result<uint32_t> sys_openat(int32_t directory, UserPtr<const char> name, uint32_t flags, uint32_t mode) {
  return open_at(directory, name, flags, mode);
}
Result<uint32_t> sys_creat(UserPtr<const char> name, uint32_t mode) {
  return open_at(kAtCurrentDirectory, name, kOpenCreate | kOpenWriteOnly | kOpenTruncate, mode);
}

Result<uint32_t> sys_close(uint32_t descriptor) {
  TRY(current_process().descriptors().close(descriptor));
  return 0u;
}

Result<uint32_t> sys_close_range(uint32_t first, uint32_t last, uint32_t flags) {
  constexpr uint32_t kUnshare = 2, kCloseOnExecInstead = 4;
  if (first > last || (flags & ~(kUnshare | kCloseOnExecInstead))) return Errno::kINVAL;
  // Tables are shared only by threads that asked for it; splitting one off is clone's business.
  if ((flags & kUnshare) && current_process().descriptors().reference_count() > 1) return Errno::kINVAL;
  if (flags & kCloseOnExecInstead) {
    current_process().descriptors().set_close_on_exec_range(first, last);
  } else {
    current_process().descriptors().close_range(first, last);
  }
  return 0u;
}

Result<uint32_t> sys_dup(int32_t descriptor) {
  DescriptorTable& table = current_process().descriptors();
  FileHandle file = TRY(table.get(static_cast<uint32_t>(descriptor)));
  return table.add(file.share(), CloseOnExec::kNo, descriptor_limit());
}

Result<uint32_t> sys_dup2(uint32_t from, uint32_t to) {
  DescriptorTable& table = current_process().descriptors();
  FileHandle file = TRY(table.get(from));
  if (from == to) return to;
  TRY(table.replace(to, file.share(), CloseOnExec::kNo, descriptor_limit()));
  return to;
}

Result<uint32_t> sys_dup3(uint32_t from, uint32_t to, uint32_t flags) {
  if (from == to || (flags & ~kOpenCloseOnExec)) return Errno::kINVAL;
  DescriptorTable& table = current_process().descriptors();
  FileHandle file = TRY(table.get(from));
  TRY(table.replace(to, file.share(), close_on_exec_of(flags), descriptor_limit()));
  return to;
}

Result<uint32_t> sys_pipe2(UserPtr<uint32_t> descriptors, uint32_t flags) {
  if (flags & ~(kOpenCloseOnExec | kOpenNonBlocking)) return Errno::kINVAL;  // no packet mode (O_DIRECT)
  PipeEnds ends = TRY(pipe_create(flags & kOpenNonBlocking, caller_credentials()));
  DescriptorTable& table = current_process().descriptors();
  uint32_t pair[2];
  pair[0] = TRY(table.reserve(descriptor_limit()));
  Result<uint32_t> second = table.reserve(descriptor_limit());
  Result<void> told;
  if (second.ok()) {
    pair[1] = second.value();
    told = user_write_bytes(descriptors.address(), pair, sizeof pair);
  }
  if (!second.ok() || !told.ok()) {
    table.cancel(pair[0]);
    if (second.ok()) table.cancel(pair[1]);
    return second.ok() ? told.error() : second.error();
  }
  table.install(pair[0], std::move(ends.reader), close_on_exec_of(flags));
  table.install(pair[1], std::move(ends.writer), close_on_exec_of(flags));
  return 0u;
}
Result<uint32_t> sys_pipe(UserPtr<uint32_t> descriptors) { return sys_pipe2(descriptors, 0); }

Result<uint32_t> sys_memfd_create(UserPtr<const char> user_name, uint32_t flags) {
  constexpr uint32_t kCloseOnExecFlag = 1, kAllowSealing = 2;
  if (flags & ~(kCloseOnExecFlag | kAllowSealing)) return Errno::kINVAL;
  UserPath name;  // only /proc would show it
  TRY(name.read(user_name));
  if (name.text().size() > 249) return Errno::kINVAL;
  Ref<File> file = TRY(tmpfs_anonymous_file(kOpenReadWrite | kOpenLargeFile, 0777, caller_credentials()));
  CloseOnExec closes = flags & kCloseOnExecFlag ? CloseOnExec::kYes : CloseOnExec::kNo;
  return current_process().descriptors().add(std::move(file), closes, descriptor_limit());
}

Result<uint32_t> sys_eventfd2(uint32_t initial, uint32_t flags) {
  constexpr uint32_t kSemaphore = 1;
  if (flags & ~(kSemaphore | kOpenCloseOnExec | kOpenNonBlocking)) return Errno::kINVAL;
  EventCounting counting = flags & kSemaphore ? EventCounting::kOneByOne : EventCounting::kAllAtOnce;
  Ref<File> file = TRY(event_file_create(initial, counting, flags & kOpenNonBlocking, caller_credentials()));
  return current_process().descriptors().add(std::move(file), close_on_exec_of(flags), descriptor_limit());
}
Result<uint32_t> sys_eventfd(uint32_t initial) { return sys_eventfd2(initial, 0); }

}  // namespace faultline
