// Making, removing, renaming and linking names; the current and the root directory; symlinks' text.
#include "kernel/files/calls.h"
#include "kernel/files/support.h"

namespace faultline {

namespace {

// Reads the name, finds the directory to start at, and hands both to `operation(caller, name)`.
template <typename Operation>
Result<uint32_t> with_name(int32_t directory, UserPtr<const char> user_name, Operation operation) {
  UserPath name;
  TRY(name.read(user_name));
  AtCaller caller;
  TRY(caller.start_at(directory, name));
  TRY(operation(static_cast<const NameCaller&>(caller), name.text()));
  return 0u;
}

}  // namespace

Result<uint32_t> sys_mkdirat(int32_t directory, UserPtr<const char> name, uint32_t mode) {
  return with_name(directory, name, [=](const NameCaller& caller, StringView text) { return path_make_directory(caller, text, mode); });
}
Result<uint32_t> sys_mkdir(UserPtr<const char> name, uint32_t mode) { return sys_mkdirat(kAtCurrentDirectory, name, mode); }

Result<uint32_t> sys_mknodat(int32_t directory, UserPtr<const char> name, uint32_t mode, uint32_t device) {
  return with_name(directory, name, [=](const NameCaller& caller, StringView text) {
    return path_make_node(caller, text, mode, DeviceNumber::decode(device));
  });
}
Result<uint32_t> sys_mknod(UserPtr<const char> name, uint32_t mode, uint32_t device) {
  return sys_mknodat(kAtCurrentDirectory, name, mode, device);
}

Result<uint32_t> sys_symlinkat(UserPtr<const char> user_target, int32_t directory, UserPtr<const char> name) {
  UserPath target;
  TRY(target.read(user_target));
  return with_name(directory, name,
                   [&](const NameCaller& caller, StringView text) { return path_make_symlink(caller, target.text(), text); });
}
Result<uint32_t> sys_symlink(UserPtr<const char> target, UserPtr<const char> name) {
  return sys_symlinkat(target, kAtCurrentDirectory, name);
}

Result<uint32_t> sys_linkat(int32_t old_directory, UserPtr<const char> old_name, int32_t directory, UserPtr<const char> name,
                            uint32_t flags) {
  if (flags & ~(kAtSymlinkFollow | kAtEmptyPath)) return Errno::kINVAL;
  uint32_t follow = flags & kAtSymlinkFollow ? 0 : kAtSymlinkNoFollow;
  Path target = TRY(resolve_at(old_directory, old_name, follow | (flags & kAtEmptyPath)));
  return with_name(directory, name, [&](const NameCaller& caller, StringView text) { return path_link(target, caller, text); });
}
Result<uint32_t> sys_link(UserPtr<const char> old_name, UserPtr<const char> name) {
  return sys_linkat(kAtCurrentDirectory, old_name, kAtCurrentDirectory, name, 0);
}

Result<uint32_t> sys_unlinkat(int32_t directory, UserPtr<const char> name, uint32_t flags) {
  if (flags & ~kAtRemoveDirectory) return Errno::kINVAL;
  return with_name(directory, name, [=](const NameCaller& caller, StringView text) {
    return flags & kAtRemoveDirectory ? path_remove_directory(caller, text) : path_unlink(caller, text);
  });
}
Result<uint32_t> sys_unlink(UserPtr<const char> name) { return sys_unlinkat(kAtCurrentDirectory, name, 0); }
Result<uint32_t> sys_rmdir(UserPtr<const char> name) { return sys_unlinkat(kAtCurrentDirectory, name, kAtRemoveDirectory); }

Result<uint32_t> sys_renameat2(int32_t old_directory, UserPtr<const char> old_name, int32_t directory, UserPtr<const char> name,
                               uint32_t flags) {
  UserPath old_text;
  TRY(old_text.read(old_name));
  AtCaller old_caller;
  TRY(old_caller.start_at(old_directory, old_text));
  return with_name(directory, name, [&](const NameCaller& caller, StringView text) {
    return path_rename(old_caller, old_text.text(), caller, text, flags);
  });
}
Result<uint32_t> sys_renameat(int32_t old_directory, UserPtr<const char> old_name, int32_t directory, UserPtr<const char> name) {
  return sys_renameat2(old_directory, old_name, directory, name, 0);
}
Result<uint32_t> sys_rename(UserPtr<const char> old_name, UserPtr<const char> name) {
  return sys_renameat2(kAtCurrentDirectory, old_name, kAtCurrentDirectory, name, 0);
}

Result<uint32_t> sys_readlinkat(int32_t directory, UserPtr<const char> name, VirtAddr address, int32_t bytes) {
  if (bytes <= 0) return Errno::kINVAL;
  Path path = TRY(resolve_at(directory, name, kAtSymlinkNoFollow | kAtEmptyPath));
  if (path.inode()->type() != FileType::kSymlink) return Errno::kINVAL;
  Buffer<char> text = TRY(Buffer<char>::create(kPathLimit));
  size_t length = TRY(path_read_link(path, {text.data(), text.size()}));
  if (length > text.size()) length = text.size();
  if (length > static_cast<size_t>(bytes)) length = static_cast<size_t>(bytes);
  TRY(user_write_bytes(address, text.data(), length));
  return static_cast<uint32_t>(length);
}
Result<uint32_t> sys_readlink(UserPtr<const char> name, VirtAddr address, int32_t bytes) {
  return sys_readlinkat(kAtCurrentDirectory, name, address, bytes);
}

namespace {

Result<Path> searchable(Result<Path> found) {
  Path path = TRY(found);
  if (!path.inode()->is_directory()) return Errno::kNOTDIR;
  TRY(path_permission(path, caller_credentials(), kMayExecute));
  return path;
}

}  // namespace

Result<uint32_t> sys_chdir(UserPtr<const char> name) {
  current_process().names().set_current(TRY(searchable(resolve_at(kAtCurrentDirectory, name, 0))));
  return 0u;
}

Result<uint32_t> sys_fchdir(int32_t descriptor) {
  FileHandle file = TRY(current_process().descriptors().get(static_cast<uint32_t>(descriptor)));
  if (!file->path() || !file->inode()) return Errno::kNOTDIR;
  current_process().names().set_current(TRY(searchable(file->path())));
  return 0u;
}

Result<uint32_t> sys_chroot(UserPtr<const char> name) {
  Path path = TRY(searchable(resolve_at(kAtCurrentDirectory, name, 0)));
  if (!caller_credentials().is_superuser()) return Errno::kPERM;
  current_process().names().set_root(std::move(path));
  return 0u;
}

Result<uint32_t> sys_getcwd(VirtAddr address, uint32_t bytes) {
  Buffer<char> buffer = TRY(Buffer<char>::create(kPathLimit));
  NameContext& names = current_process().names();
  StringView text = TRY(path_text(names.current(), names.root(), {buffer.data(), buffer.size() - 1}));
  if (text.size() + 1 > bytes) return Errno::kRANGE;
  buffer[buffer.size() - 1] = '\0';  // the text ends where the buffer does
  TRY(user_write_bytes(address, text.data(), text.size() + 1));
  return static_cast<uint32_t>(text.size() + 1);
}

Result<uint32_t> sys_umask(uint32_t mask) { return current_process().names().set_umask(mask); }

}  // namespace faultline
