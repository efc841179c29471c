// stat(2) in all its layouts, access(2), statfs(2).
#include "kernel/files/calls.h"
#include "kernel/files/support.h"
#include "lib/abi/stat.h"

namespace faultline {

namespace {

constexpr uint32_t kStatFlags = kAtSymlinkNoFollow | kAtNoAutomount | kAtEmptyPath;

abi::Stat64 stat64_of(Inode& inode) {
  Attributes all = inode.attributes();
  abi::Stat64 out;  // every field is set below
  out.padding0 = out.padding1 = 0;
  out.device = inode.file_system().device().encode();
  out.inode = all.inode;
  out.inode_low = static_cast<uint32_t>(all.inode);
  out.mode = all.mode;
  out.links = all.links;
  out.uid = all.uid;
  out.gid = all.gid;
  out.special = all.special.encode();
  out.size = all.size;
  out.block_size = all.block_size;
  out.blocks = all.blocks;
  out.accessed = static_cast<uint32_t>(all.accessed.seconds);
  out.accessed_nanoseconds = all.accessed.nanoseconds;
  out.modified = static_cast<uint32_t>(all.modified.seconds);
  out.modified_nanoseconds = all.modified.nanoseconds;
  out.changed = static_cast<uint32_t>(all.changed.seconds);
  out.changed_nanoseconds = all.changed.nanoseconds;
  return out;
}

Result<uint32_t> put_stat32(Inode& inode, UserPtr<abi::Stat32> destination) {
  abi::Stat64 all = stat64_of(inode);
  if (all.size > 0x7fffffff) return Errno::kOVERFLOW;
  abi::Stat32 out{};
  out.device = static_cast<uint32_t>(all.device);
  out.inode = all.inode_low;
  out.mode = static_cast<uint16_t>(all.mode);
  out.links = static_cast<uint16_t>(all.links);
  out.uid = all.uid > 0xffff ? 65534 : static_cast<uint16_t>(all.uid);
  out.gid = all.gid > 0xffff ? 65534 : static_cast<uint16_t>(all.gid);
  out.special = static_cast<uint32_t>(all.special);
  out.size = static_cast<uint32_t>(all.size);
  out.block_size = all.block_size;
  out.blocks = static_cast<uint32_t>(all.blocks);
  out.accessed = all.accessed;
  out.accessed_nanoseconds = all.accessed_nanoseconds;
  out.modified = all.modified;
  out.modified_nanoseconds = all.modified_nanoseconds;
  out.changed = all.changed;
  out.changed_nanoseconds = all.changed_nanoseconds;
  TRY(user_write(destination, out));
  return 0u;
}

Result<uint32_t> put_stat64(Inode& inode, UserPtr<abi::Stat64> destination) {
  TRY(user_write(destination, stat64_of(inode)));
  return 0u;
}

// The inode of a descriptor, O_PATH ones included.
Result<FileHandle> file_with_inode(uint32_t descriptor) {
  FileHandle file = TRY(current_process().descriptors().get(descriptor));
  if (!file->inode()) return Errno::kBADF;
  return file;
}

}  // namespace

Result<uint32_t> sys_stat64(UserPtr<const char> name, UserPtr<abi::Stat64> destination) {
  Path path = TRY(resolve_at(kAtCurrentDirectory, name, 0));
  return put_stat64(*path.inode(), destination);
}
Result<uint32_t> sys_lstat64(UserPtr<const char> name, UserPtr<abi::Stat64> destination) {
  Path path = TRY(resolve_at(kAtCurrentDirectory, name, kAtSymlinkNoFollow));
  return put_stat64(*path.inode(), destination);
}
Result<uint32_t> sys_fstat64(uint32_t descriptor, UserPtr<abi::Stat64> destination) {
  FileHandle file = TRY(file_with_inode(descriptor));
  return put_stat64(*file->inode(), destination);
}
Result<uint32_t> sys_fstatat64(int32_t directory, UserPtr<const char> name, UserPtr<abi::Stat64> destination, uint32_t flags) {
  if (flags & ~kStatFlags) return Errno::kINVAL;
  Path path = TRY(resolve_at(directory, name, flags));
  return put_stat64(*path.inode(), destination);
}
Result<uint32_t> sys_stat(UserPtr<const char> name, UserPtr<abi::Stat32> destination) {
  Path path = TRY(resolve_at(kAtCurrentDirectory, name, 0));
  return put_stat32(*path.inode(), destination);
}
Result<uint32_t> sys_lstat(UserPtr<const char> name, UserPtr<abi::Stat32> destination) {
  Path path = TRY(resolve_at(kAtCurrentDirectory, name, kAtSymlinkNoFollow));
  return put_stat32(*path.inode(), destination);
}
Result<uint32_t> sys_fstat(uint32_t descriptor, UserPtr<abi::Stat32> destination) {
  FileHandle file = TRY(file_with_inode(descriptor));
  return put_stat32(*file->inode(), destination);
}

namespace {

void put_time(abi::StatxTime& out, const Timestamp& time) { out = {time.seconds, time.nanoseconds, 0}; }

Result<uint32_t> put_statx(Inode& inode, uint32_t mount_id, UserPtr<abi::Statx> destination) {
  Attributes all = inode.attributes();
  DeviceNumber device = inode.file_system().device();
  abi::Statx out{};
  out.mask = abi::kStatxBasic | (mount_id != 0 ? abi::kStatxMountId : 0);
  out.block_size = all.block_size;
  out.links = all.links;
  out.uid = all.uid;
  out.gid = all.gid;
  out.mode = static_cast<uint16_t>(all.mode);
  out.inode = all.inode;
  out.size = all.size;
  out.blocks = all.blocks;
  abi::StatxTime time;
  put_time(time, all.accessed);
  out.accessed = time;
  put_time(time, all.changed);
  out.changed = time;
  put_time(time, all.modified);
  out.modified = time;
  out.special_major = all.special.major;
  out.special_minor = all.special.minor;
  out.device_major = device.major;
  out.device_minor = device.minor;
  out.mount_id = mount_id;
  TRY(user_write(destination, out));
  return 0u;
}

}  // namespace

Result<uint32_t> sys_statx(int32_t directory, UserPtr<const char> name, uint32_t flags, uint32_t mask, UserPtr<abi::Statx> destination) {
  constexpr uint32_t kSyncTypes = 0x6000;
  if ((flags & ~(kStatFlags | kSyncTypes)) || (flags & kSyncTypes) == kSyncTypes || (mask & abi::kStatxReserved)) return Errno::kINVAL;
  if (flags & kAtEmptyPath && directory != kAtCurrentDirectory) {  // fstat's new spelling: spares the place of a pipe
    uint8_t first = TRY(user_read(name.as<uint8_t>()));
    if (first == 0) {
      FileHandle file = TRY(file_with_inode(static_cast<uint32_t>(directory)));
      return put_statx(*file->inode(), file->path() ? file->path().mount->id() : 0, destination);
    }
  }
  Path path = TRY(resolve_at(directory, name, flags));
  return put_statx(*path.inode(), path.mount->id(), destination);
}

Result<uint32_t> sys_faccessat2(int32_t directory, UserPtr<const char> name, uint32_t mode, uint32_t flags) {
  if ((mode & ~7u) || (flags & ~(kAtEffectiveAccess | kAtSymlinkNoFollow | kAtEmptyPath))) return Errno::kINVAL;
  // The question is about the real ids, which the whole walk uses too.
  Credentials who = caller_credentials();
  if (!(flags & kAtEffectiveAccess)) {
    who.fsuid = who.uid;
    who.fsgid = who.gid;
  }
  UserPath text;
  TRY(text.read(name));
  Path path;
  if (text.empty() && (flags & kAtEmptyPath)) {
    path = directory == kAtCurrentDirectory ? current_process().names().current() : TRY(descriptor_path(directory));
  } else {
    AtCaller caller;
    TRY(caller.start_at(directory, text));
    const NameCaller& start = caller;
    NameCaller asking{start.names, who, start.base};
    path = TRY(path_resolve(asking, text.text(), flags & kAtSymlinkNoFollow ? FollowLast::kNo : FollowLast::kYes));
  }
  TRY(path_permission(path, who, mode));
  return 0u;
}
Result<uint32_t> sys_faccessat(int32_t directory, UserPtr<const char> name, uint32_t mode) {
  return sys_faccessat2(directory, name, mode, 0);
}
Result<uint32_t> sys_access(UserPtr<const char> name, uint32_t mode) { return sys_faccessat2(kAtCurrentDirectory, name, mode, 0); }

namespace {

struct FileSystemView {
  FileSystemStatistics all;
  uint64_t device;
  uint32_t flags;
};

FileSystemView view_of(FileSystem& file_system, uint32_t mount_flags) {
  constexpr uint32_t kFlagsAreValid = 0x20, kShown = kMountReadOnly | kMountNoSetId | kMountNoDevices | kMountNoExecute | kMountSynchronous;
  return {file_system.statistics(), file_system.device().encode(), (mount_flags & kShown) | kFlagsAreValid};
}

Result<uint32_t> put_statfs32(const FileSystemView& view, UserPtr<abi::Statfs32> destination) {
  const FileSystemStatistics& all = view.all;
  if (all.blocks > ~0u || all.files > ~0u) return Errno::kOVERFLOW;
  abi::Statfs32 out{};
  out.type = all.type;
  out.block_size = out.fragment_size = all.block_size;
  out.blocks = static_cast<uint32_t>(all.blocks);
  out.blocks_free = static_cast<uint32_t>(all.blocks_free);
  out.blocks_available = static_cast<uint32_t>(all.blocks_available);
  out.files = static_cast<uint32_t>(all.files);
  out.files_free = static_cast<uint32_t>(all.files_free);
  out.id[0] = static_cast<uint32_t>(view.device);
  out.name_length = all.name_length;
  out.flags = view.flags;
  TRY(user_write(destination, out));
  return 0u;
}

Result<uint32_t> put_statfs64(const FileSystemView& view, uint32_t size, UserPtr<abi::Statfs64> destination) {
  if (size != sizeof(abi::Statfs64)) return Errno::kINVAL;
  const FileSystemStatistics& all = view.all;
  abi::Statfs64 out{};
  out.type = all.type;
  out.block_size = out.fragment_size = all.block_size;
  out.blocks = all.blocks;
  out.blocks_free = all.blocks_free;
  out.blocks_available = all.blocks_available;
  out.files = all.files;
  out.files_free = all.files_free;
  out.id[0] = static_cast<uint32_t>(view.device);
  out.name_length = all.name_length;
  out.flags = view.flags;
  TRY(user_write(destination, out));
  return 0u;
}

Result<FileSystemView> view_of_name(UserPtr<const char> name) {
  Path path = TRY(resolve_at(kAtCurrentDirectory, name, 0));
  return view_of(path.inode()->file_system(), path.mount->flags());
}
Result<FileSystemView> view_of_descriptor(uint32_t descriptor) {
  FileHandle file = TRY(file_with_inode(descriptor));
  return view_of(file->inode()->file_system(), file->path() ? file->path().mount->flags() : 0);
}

}  // namespace

Result<uint32_t> sys_statfs(UserPtr<const char> name, UserPtr<abi::Statfs32> destination) {
  return put_statfs32(TRY(view_of_name(name)), destination);
}
Result<uint32_t> sys_fstatfs(uint32_t descriptor, UserPtr<abi::Statfs32> destination) {
  return put_statfs32(TRY(view_of_descriptor(descriptor)), destination);
}
Result<uint32_t> sys_statfs64(UserPtr<const char> name, uint32_t size, UserPtr<abi::Statfs64> destination) {
  return put_statfs64(TRY(view_of_name(name)), size, destination);
}
Result<uint32_t> sys_fstatfs64(uint32_t descriptor, uint32_t size, UserPtr<abi::Statfs64> destination) {
  return put_statfs64(TRY(view_of_descriptor(descriptor)), size, destination);
}

}  // namespace faultline
