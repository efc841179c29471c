// What the file calls share: names from user memory, descriptors, directories to start at.
#pragma once

#include "fs/descriptor_table.h"
#include "fs/namespace.h"
#include "kernel/process.h"
#include "kernel/system_call.h"
#include "lib/abi/fcntl.h"
#include "mm/io_buffer.h"
#include "mm/slab.h"
#include "mm/user_memory.h"

namespace faultline {

// A path or string from the caller: short ones on the stack, long ones in slab memory.
class UserPath {
 public:
  UserPath() = default;
  UserPath(const UserPath&) = delete;
  UserPath& operator=(const UserPath&) = delete;
  // kFAULT, kNAMETOOLONG (no NUL within 4,096 bytes), kNOMEM.
  Result<void> read(UserPtr<const char> source);
  StringView text() const { return text_; }
  bool empty() const { return text_.empty(); }
  bool is_absolute() const { return !text_.empty() && text_[0] == '/'; }

 private:
  char short_[160];
  Buffer<char> long_;
  StringView text_;
};

// An open file that is more than a place (O_PATH): kBADF.
[[gnu::always_inline]] inline Result<FileHandle> descriptor_file(int32_t descriptor) {
  FileHandle file = TRY(current_process().descriptors().get(static_cast<uint32_t>(descriptor)));
  if (file->is_path_only()) [[unlikely]]
    return Errno::kBADF;
  return file;
}
[[gnu::always_inline]] inline Result<FileHandle> readable_file(int32_t descriptor) {
  FileHandle file = TRY(current_process().descriptors().get(static_cast<uint32_t>(descriptor)));
  if (!file->is_readable()) [[unlikely]]
    return Errno::kBADF;
  return file;
}
[[gnu::always_inline]] inline Result<FileHandle> writable_file(int32_t descriptor) {
  FileHandle file = TRY(current_process().descriptors().get(static_cast<uint32_t>(descriptor)));
  if (!file->is_writable()) [[unlikely]]
    return Errno::kBADF;
  return file;
}
inline CloseOnExec close_on_exec_of(uint32_t flags) { return flags & kOpenCloseOnExec ? CloseOnExec::kYes : CloseOnExec::kNo; }
inline uint64_t descriptor_limit() { return current_process().limit(Resource::kOpenFiles); }

// The place of an open file; files without one (pipes) get a place of their own. kBADF, kNOMEM.
Result<Path> descriptor_path(int32_t descriptor);

// The caller of a *at call: who, and the directory that `name` starts at.
class AtCaller {
 public:
  AtCaller() : caller_{current_process().names(), current_process().credentials()} {}
  AtCaller(const AtCaller&) = delete;
  AtCaller& operator=(const AtCaller&) = delete;
  // kBADF; kNOTDIR. Absolute names don't look at the descriptor.
  Result<void> start_at(int32_t directory, const UserPath& name);
  operator const NameCaller&() const { return caller_; }

 private:
  Path base_;
  NameCaller caller_;
};

// The place that (directory, name, flags of *at calls) means: kAtEmptyPath, kAtSymlinkNoFollow.
Result<Path> resolve_at(int32_t directory, UserPtr<const char> name, uint32_t flags);

inline const Credentials& caller_credentials() { return current_process().credentials(); }
inline NameCaller name_caller() { return {current_process().names(), current_process().credentials()}; }

constexpr int64_t join_words(uint32_t low, uint32_t high) { return static_cast<int64_t>(uint64_t{high} << 32 | low); }

// Linux moves at most this many bytes in one call.
inline constexpr uint32_t kMaximumTransfer = 0x7ffff000;
inline IoBuffer user_buffer(VirtAddr address, uint32_t bytes) {
  return IoBuffer::user(address, bytes < kMaximumTransfer ? bytes : kMaximumTransfer);
}

}  // namespace faultline
