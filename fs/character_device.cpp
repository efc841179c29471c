// The registered character devices.
#include "fs/character_device.h"

#include "fs/devfs/devfs.h"
#include "lib/late.h"
#include "mm/slab.h"

namespace faultline {

namespace {

struct Registered : ListNode<> {
  char name[24];
  size_t name_length;
  DeviceNumber number;
  uint32_t mode;
  CharacterDeviceOpen open;
  StringView text() const { return {name, name_length}; }
};

constinit SpinLock<LockRank::kDevice> registry_lock;
constinit bool is_ready = false;  // boot's first registration builds the list, with one thread running
constinit Late<List<Registered>> registry GUARDED_BY(registry_lock);

Registered* find_locked(DeviceNumber number) REQUIRES(registry_lock) {
  if (is_ready)
    for (Registered& device : *registry)
      if (device.number == number) return &device;
  return nullptr;
}

}  // namespace

Result<void> character_device_register(StringView name, DeviceNumber number, uint32_t mode, CharacterDeviceOpen open, uint32_t uid) {
  Registered* device = TRY(slab_new<Registered>());
  if (name.size() > sizeof device->name) {
    slab_delete(device);
    return Errno::kNAMETOOLONG;
  }
  memcpy(device->name, name.data(), name.size());
  device->name_length = name.size();
  device->number = number;
  device->mode = mode;
  device->open = open;
  bool exists;
  {
    LockGuard guard(registry_lock);
    if (!is_ready) registry.construct();
    is_ready = true;
    exists = find_locked(number) != nullptr;
    if (!exists) registry->push_back(*device);
  }
  if (exists) {
    slab_delete(device);
    return Errno::kEXIST;
  }
  Result<void> node = devfs_add(name, mode, number, uid);
  if (!node.ok()) character_device_unregister(number);
  return node;
}

void character_device_unregister(DeviceNumber number) {
  Registered* device;
  {
    LockGuard guard(registry_lock);
    device = find_locked(number);
    if (device) registry->remove(*device);
  }
  if (!device) return;
  devfs_remove(device->text());
  slab_delete(device);
}

Result<Ref<File>> character_device_open(Ref<Inode> inode, DeviceNumber number, uint32_t flags) {
  CharacterDeviceOpen open = nullptr;
  {
    LockGuard guard(registry_lock);
    if (Registered* device = find_locked(number)) open = device->open;
  }
  if (!open) return Errno::kNXIO;
  return open(std::move(inode), number, flags);
}

bool character_device_at(uint32_t index, CharacterDeviceView& view) {
  LockGuard guard(registry_lock);
  if (!is_ready) return false;
  for (Registered& device : *registry) {
    if (index-- != 0) continue;
    memcpy(view.name, device.name, sizeof view.name);
    view.name_length = device.name_length;
    view.number = device.number;
    view.mode = device.mode;
    return true;
  }
  return false;
}

}  // namespace faultline
