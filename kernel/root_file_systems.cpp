// Mounting at boot: the root, and the file systems that programs expect on it.
#include "kernel/root_file_systems.h"

#include "fs/block_device.h"
#include "fs/devfs/devfs.h"
#include "fs/mount.h"
#include "fs/namespace.h"
#include "kernel/boot_information.h"
#include "lib/log.h"

namespace faultline {

namespace {

BlockDevice& root_device() {
  StringView name = boot_option("root");
  if (name.starts_with("/dev/")) name = name.substring(5);
  BlockDevice* device = name.empty() ? block_device_at(0) : block_device_find(name);
  if (device) return *device;
  if (name.empty()) PANIC("no root file system: there is no disk");
  log(LogLevel::kError, "root={}: there is no such disk", name);
  for (uint32_t i = 0; BlockDevice* other = block_device_at(i); i++) log(LogLevel::kError, "disk {}", other->name());
  PANIC("no root file system");
}

void mount_root() {
  BlockDevice& device = root_device();
  char buffer[32];
  BufferSink source(buffer);
  format(source, "/dev/{}", device.name());
  Result<Ref<Mount>> mount = mount_create("ext2", &device, source.text(), 0, {});
  if (!mount.ok()) {
    log(LogLevel::kError, "{} cannot be mounted: error {}", source.text(), static_cast<int>(mount.error()));
    PANIC("no root file system");
  }
  if (!mount.value()->attach({}).ok()) PANIC("no memory to mount the root file system");
  set_root_path({mount.value(), mount.value()->root()});
}

// The mount on the directory `place`. Without the directory, or memory, there is none: the reason is logged.
Result<void> attach_at(NameContext& names, StringView place, Result<Ref<Mount>> mount) {
  static constinit Credentials superuser = {};
  Ref<Mount> made = TRY(mount);
  Path path = TRY(path_resolve({names, superuser}, place, FollowLast::kYes));
  return made->attach(path);
}

void mount_at(NameContext& names, StringView place, Result<Ref<Mount>> mount) {
  Result<void> result = attach_at(names, place, std::move(mount));
  if (!result.ok()) log(LogLevel::kWarning, "{} is not mounted: error {}", place, static_cast<int>(result.error()));
}

Result<Ref<Mount>> device_files() {
  TRY(devfs_initialize());
  return devfs_mount();
}

}  // namespace

void root_file_systems_mount() {
  mount_root();
  Result<Ref<NameContext>> names = NameContext::create(root_path());
  if (!names.ok()) PANIC("no memory for the first name context");
  mount_at(*names.value(), "/dev", device_files());
  mount_at(*names.value(), "/proc", mount_create("proc", nullptr, "proc", kMountNoSetId | kMountNoDevices | kMountNoExecute, {}));
  mount_at(*names.value(), "/tmp", mount_create("tmpfs", nullptr, "tmpfs", kMountNoSetId | kMountNoDevices, "mode=1777"));
  mount_at(*names.value(), "/dev/shm", mount_create("tmpfs", nullptr, "tmpfs", kMountNoSetId | kMountNoDevices, "mode=1777"));
}

}  // namespace faultline
