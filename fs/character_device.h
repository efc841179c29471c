// Character devices: drivers and the kernel register an opener by number and name; /dev shows a node for each.
#pragma once

#include "fs/file.h"

namespace faultline {

// Opens minor `number` for a new file description of `inode`. Errors as open(2): kNXIO, kIO, kBUSY.
using CharacterDeviceOpen = Result<Ref<File>> (*)(Ref<Inode> inode, DeviceNumber number, uint32_t flags);

// `name` without /dev/ ("null", "ttyS0", "pts/0" makes the directory); at most 24 characters. The node is `uid`'s. Errors: kNOMEM, kEXIST.
Result<void> character_device_register(StringView name, DeviceNumber number, uint32_t mode, CharacterDeviceOpen open, uint32_t uid = 0);
// For nodes that come and go (pts).
void character_device_unregister(DeviceNumber number);

// The registered device at `index`, in order; false past the last. For /dev's first filling and /proc/devices.
struct CharacterDeviceView {
  char name[24];
  size_t name_length;
  DeviceNumber number;
  uint32_t mode;
};
bool character_device_at(uint32_t index, CharacterDeviceView& view);

// Opens a device node: kNXIO if no driver has the number.
Result<Ref<File>> character_device_open(Ref<Inode> inode, DeviceNumber number, uint32_t flags);

}  // namespace faultline
