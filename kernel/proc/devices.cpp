// /proc/filesystems, partitions, devices, cmdline: what the kernel knows and was told.
#include "fs/block_device.h"
#include "fs/mount.h"
#include "kernel/boot_information.h"
#include "kernel/proc/contents.h"

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

// Majors that drivers of ours use, as Linux numbers and names them.
Result<void> show_devices(const ProcContext&, FormatSink& sink) {
  sink.put("Character devices:\n  1 mem\n  4 tty\n  4 ttyS\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n");
  uint32_t last = ~0u;
  BlockDevice* device;
  for (uint32_t i = 0; (device = block_device_at(i)); i++) {
    if (device->number().major == last) continue;
    last = device->number().major;
    StringView name = device->name();
    size_t letters = 0;
    while (letters < 2 && letters < name.size()) letters++;
    format(sink, "{3} {}\n", last, name.substring(0, letters));
  }
  return {};
}

Result<void> show_cmdline(const ProcContext&, FormatSink& sink) {
  format(sink, "{}\n", boot_information().command_line);
  return {};
}

constexpr ProcNode kFilesystems = proc_file("filesystems", &show_filesystems);
constexpr ProcNode kPartitions = proc_file("partitions", &show_partitions);
constexpr ProcNode kDevices = proc_file("devices", &show_devices);
constexpr ProcNode kCmdline = proc_file("cmdline", &show_cmdline);

}  // namespace

void proc_register_devices() {
  for (const ProcNode* node : {&kFilesystems, &kPartitions, &kDevices, &kCmdline}) proc_register(*node);
}

}  // namespace faultline
