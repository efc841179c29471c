// /proc/filesystems, partitions, devices, diskstats, sysvipc, cmdline: what the kernel knows and was told.
#include "fs/block_device.h"
#include "fs/character_device.h"
#include "fs/mount.h"
#include "kernel/boot_information.h"
#include "kernel/proc/contents.h"
#include "kernel/shared_memory.h"

namespace faultline {

namespace {

Result<void> show_filesystems(const ProcContext&, FormatSink& sink) {
  const FileSystemType* type;
  for (uint32_t i = 0; (type = file_system_type_at(i)); i++) format(sink, "{}\t{}\n", type->needs_device ? "" : "nodev", type->name);
  return {};
}

Result<void> show_partitions(const ProcContext&, FormatSink& sink) {
  sink.put("major minor  #blocks  name\n\n");
  BlockDevice* device;
  for (uint32_t i = 0; (device = block_device_at(i)); i++)
    format(sink, "{4} {8} {10} {}\n", device->number().major, device->number().minor, device->sectors() / 2, device->name());
  return {};
}

// A driver's name is what its device is called, without its numbers.
StringView driver_name(StringView name) {
  size_t length = name.find('/') != StringView::kNotFound ? name.find('/') : name.size();
  while (length > 1 && name[length - 1] >= '0' && name[length - 1] <= '9') length--;
  return name.substring(0, length);
}

Result<void> show_devices(const ProcContext&, FormatSink& sink) {
  sink.put("Character devices:\n");
  uint32_t last_major = ~0u;
  StringView last_name;
  char previous[sizeof(CharacterDeviceView::name)];
  CharacterDeviceView view;
  for (uint32_t i = 0; character_device_at(i, view); i++) {
    StringView name = view.number.major == 1 ? StringView("mem") : driver_name({view.name, view.name_length});
    if (view.number.major == last_major && name == last_name) continue;
    format(sink, "{3} {}\n", view.number.major, name);
    last_major = view.number.major;
    memcpy(previous, name.data(), name.size());
    last_name = {previous, name.size()};
  }
  sink.put("\nBlock devices:\n");
  uint32_t last = ~0u;
  BlockDevice* device;
  for (uint32_t i = 0; (device = block_device_at(i)); i++) {
    if (device->number().major == last) continue;
    last = device->number().major;
    StringView name = device->name();
    format(sink, "{3} {}\n", last, name.substring(0, 2));
  }
  return {};
}

// Documentation/admin-guide/iostats of Linux; what is not counted (merges, time, discards) is 0.
Result<void> show_diskstats(const ProcContext&, FormatSink& sink) {
  BlockDevice* device;
  for (uint32_t i = 0; (device = block_device_at(i)); i++) {
    auto number = [](const Atomic<uint32_t>& counter) { return counter.load(memory_order_relaxed); };
    const auto &reads = device->counters(BlockOperation::kRead), &writes = device->counters(BlockOperation::kWrite);
    format(sink, "{4} {7} {} {} 0 {} 0 ", device->number().major, device->number().minor, device->name(), number(reads.requests),
           number(reads.sectors));
    format(sink, "{} 0 {} 0 0 0 0 0 0 0 0 {} 0\n", number(writes.requests), number(writes.sectors),
           number(device->counters(BlockOperation::kFlush).requests));
  }
  return {};
}

Result<void> show_segments(const ProcContext&, FormatSink& sink) {
  shared_memory_describe(sink);
  return {};
}

Result<void> show_cmdline(const ProcContext&, FormatSink& sink) {
  format(sink, "{}\n", boot_information().command_line);
  return {};
}

constexpr ProcNode kFilesystems = proc_file("filesystems", &show_filesystems);
constexpr ProcNode kPartitions = proc_file("partitions", &show_partitions);
constexpr ProcNode kDevices = proc_file("devices", &show_devices);
constexpr ProcNode kDiskstats = proc_file("diskstats", &show_diskstats);
constexpr ProcNode kSegments = proc_file("shm", &show_segments);
constexpr const ProcNode* kIpcFiles[] = {&kSegments};
constexpr ProcNode kIpc = proc_directory("sysvipc", kIpcFiles);
constexpr ProcNode kCmdline = proc_file("cmdline", &show_cmdline);

}  // namespace

void proc_register_devices() {
  for (const ProcNode* node : {&kFilesystems, &kPartitions, &kDevices, &kDiskstats, &kIpc, &kCmdline}) proc_register(*node);
}

}  // namespace faultline
