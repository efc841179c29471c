// /dev's nodes are made and removed through the ordinary name operations, so the name cache always agrees with them.
#include "fs/devfs/devfs.h"

#include "fs/block_device.h"
#include "fs/character_device.h"
#include "fs/namespace.h"
#include "fs/tmpfs/tmpfs.h"
#include "lib/late.h"

namespace faultline {

namespace {

constexpr uint64_t kPageLimit = 256;  // for files that somebody drops into /dev

struct Devices {
  Ref<Mount> mount;
  Ref<NameContext> names;  // its root is /dev
  Credentials root;
};
constinit Late<Devices> devices;
constinit bool is_ready = false;

NameCaller caller() { return {*devices->names, devices->root}; }

Result<void> add_directory_of(StringView name) {
  size_t slash = name.find('/');
  if (slash == StringView::kNotFound) return {};
  Result<void> made = path_make_directory(caller(), name.substring(0, slash), 0755);
  return made.ok() || made.error() == Errno::kEXIST ? Result<void>() : made;
}

}  // namespace

Ref<Mount> devfs_mount() { return is_ready ? devices->mount : Ref<Mount>(); }

Result<void> devfs_add(StringView name, uint32_t mode, DeviceNumber number, uint32_t uid) {
  if (!is_ready) return {};
  TRY(add_directory_of(name));
  if ((mode & kTypeMask) == 0) mode |= static_cast<uint32_t>(FileType::kCharacterDevice);
  TRY(path_make_node(caller(), name, mode, number));
  if (uid == 0) return {};
  Path node = TRY(path_resolve(caller(), name, FollowLast::kNo));
  AttributeChange change;
  change.which = AttributeChange::kUid;
  change.uid = uid;
  return path_set_attributes(node, devices->root, change);
}

void devfs_remove(StringView name) {
  if (is_ready) ignore_result(path_unlink(caller(), name));  // somebody may have removed it by hand
}

Result<void> devfs_initialize() {
  TmpfsFileSystem* file_system = TRY(TmpfsFileSystem::create("devtmpfs", kPageLimit, 0755));
  Ref<Dentry> root = TRY(Dentry::create_root(file_system->root()));
  Ref<Mount> mount = TRY(Mount::create(*file_system, root, "devtmpfs", kMountNoExecute));
  Ref<NameContext> names = TRY(NameContext::create(Path{mount, root}));
  names->set_umask(0);
  devices.construct(Devices{std::move(mount), std::move(names), Credentials{}});
  is_ready = true;
  CharacterDeviceView view;
  for (uint32_t i = 0; character_device_at(i, view); i++) TRY(devfs_add({view.name, view.name_length}, view.mode, view.number));
  for (uint32_t i = 0; BlockDevice* disk = block_device_at(i); i++)
    TRY(devfs_add(disk->name(), 0660 | static_cast<uint32_t>(FileType::kBlockDevice), disk->number()));
  struct Link {
    StringView name, target;
  };
  static constexpr Link kLinks[] = {
      {"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"}};
  for (const Link& link : kLinks) TRY(path_make_symlink(caller(), link.target, link.name));
  for (StringView directory : {StringView("pts"), StringView("shm")}) {
    Result<void> made = path_make_directory(caller(), directory, directory == "shm" ? 01777 : 0755);
    if (!made.ok() && made.error() != Errno::kEXIST) return made;
  }
  return {};
}

}  // namespace faultline
