// mount(2), umount2(2).
#include "fs/block_device.h"
#include "fs/devfs/devfs.h"
#include "kernel/files/calls.h"
#include "kernel/files/support.h"

namespace faultline {

namespace {

Result<BlockDevice*> device_of(const UserPath& source) {
  Path path = TRY(path_resolve(name_caller(), source.text(), FollowLast::kYes));
  if (path.inode()->type() != FileType::kBlockDevice) return Errno::kNOTBLK;
  BlockDevice* device = block_device_find(path.inode()->attributes().special);
  if (!device) return Errno::kNXIO;
  return device;
}

bool type_needs_device(StringView name) {
  for (uint32_t i = 0; const FileSystemType* type = file_system_type_at(i); i++)
    if (type->name == name) return type->needs_device;
  return false;
}

Result<Ref<Mount>> new_mount(const UserPath& source, StringView type, uint32_t flags, StringView options) {
  BlockDevice* device = nullptr;
  if (type == "devtmpfs") {  // the one /dev, once more
    Ref<Mount> dev = devfs_mount();
    return Mount::create(dev->file_system(), dev->root(), source.text(), flags);
  }
  if (type_needs_device(type)) device = TRY(device_of(source));
  return mount_create(type, device, source.text(), flags, options);
}

Result<Ref<Mount>> bind_mount(const UserPath& source, uint32_t flags) {
  Path path = TRY(path_resolve(name_caller(), source.text(), FollowLast::kYes));
  return Mount::create(path.mount->file_system(), path.dentry, source.text(), (path.mount->flags() | flags) & ~kMountBind);
}

constexpr uint32_t kKnownFlags = kMountReadOnly | kMountNoSetId | kMountNoDevices | kMountNoExecute | kMountSynchronous | kMountRemount |
                                 kMountNoAccessTime | kMountNoDirAccessTime | kMountBind | kMountRecursive | kMountSilent |
                                 kMountRelativeAccessTime | kMountStrictAccessTime;
constexpr uint32_t kKeptFlags = kKnownFlags & ~(kMountRemount | kMountBind | kMountRecursive | kMountSilent);

}  // namespace

Result<uint32_t> sys_mount(UserPtr<const char> user_source, UserPtr<const char> user_target, UserPtr<const char> user_type, uint32_t flags,
                           UserPtr<const char> user_options) {
  if (!caller_credentials().is_superuser()) return Errno::kPERM;
  constexpr uint32_t kMagic = 0xc0ed0000, kMagicMask = 0xffff0000;  // what old programs put into the upper half
  if ((flags & kMagicMask) == kMagic) flags &= ~kMagicMask;
  if (flags & ~kKnownFlags) return Errno::kINVAL;
  UserPath source, type, options;
  if (!user_source.is_null()) TRY(source.read(user_source));
  if (!user_type.is_null()) TRY(type.read(user_type));
  if (!user_options.is_null()) TRY(options.read(user_options));
  Path target = TRY(resolve_at(kAtCurrentDirectory, user_target, 0));
  if (flags & kMountRemount) {
    if (!(target.dentry == target.mount->root())) return Errno::kINVAL;
    TRY(target.mount->remount(flags & kKeptFlags));
    return 0u;
  }
  Ref<Mount> mount =
      TRY(flags & kMountBind ? bind_mount(source, flags & kKeptFlags) : new_mount(source, type.text(), flags & kKeptFlags, options.text()));
  if (mount->root()->inode()->is_directory() != target.inode()->is_directory()) return Errno::kNOTDIR;
  TRY(mount->attach(target));
  return 0u;
}

Result<uint32_t> sys_umount2(UserPtr<const char> user_target, uint32_t flags) {
  if (flags & ~(kUnmountForce | kUnmountDetach | kUnmountExpire | kUnmountNoFollow)) return Errno::kINVAL;
  if (flags & kUnmountExpire) return Errno::kINVAL;
  if (!caller_credentials().is_superuser()) return Errno::kPERM;
  Path target = TRY(resolve_at(kAtCurrentDirectory, user_target, flags & kUnmountNoFollow ? kAtSymlinkNoFollow : 0));
  if (!(target.dentry == target.mount->root())) return Errno::kINVAL;
  TRY(target.mount->detach(flags));
  return 0u;
}
Result<uint32_t> sys_umount(UserPtr<const char> target) { return sys_umount2(target, 0); }

}  // namespace faultline
