// Which disks there are, and the partitions that a master boot record cuts them into. Format: the classic PC one, four entries of
// 16 bytes at 446, extended partitions as a chain of such sectors. Everything read from the disk is checked; nonsense is ignored.
#include "fs/block_device.h"
#include "lib/log.h"
#include "mm/slab.h"

namespace faultline {

namespace {

struct MbrEntry {
  uint8_t status;
  uint8_t first_chs[3];
  uint8_t type;
  uint8_t last_chs[3];
  uint8_t first_sector[4];
  uint8_t sectors[4];
};
static_assert(sizeof(MbrEntry) == 16);
constexpr uint32_t kEntriesAt = 446, kSignatureAt = 510;
constexpr uint32_t kFirstLogical = 5, kLastPartition = 15;

uint32_t little_endian(const uint8_t (&bytes)[4]) {
  return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<uint32_t>(bytes[3]) << 24;
}
bool is_extended(uint8_t type) { return type == 0x05 || type == 0x0f || type == 0x85; }

// A slice of another device.
class Partition final : public BlockDevice {
 public:
  Partition(BlockDevice& whole, StringView name, DeviceNumber number, uint64_t first, uint64_t sectors)
      : BlockDevice(name, number, sectors, whole.is_read_only()), whole_(whole), first_(first) {}
  // The requests' range has been checked against this partition's size by BlockBatch.
  void submit(BlockRequest& request) override {
    if (request.operation != BlockOperation::kFlush) request.sector += first_;
    whole_.send(request);
  }
  void stalled() override { whole_.stalled(); }

 private:
  BlockDevice& whole_;
  const uint64_t first_;
};

// Registered devices in order. Only boot adds, so readers need no lock.
constexpr uint32_t kMaxDevices = 64;
constinit BlockDevice* devices[kMaxDevices] = {};
constinit uint32_t device_count = 0;

Result<void> remember(BlockDevice& device) {
  if (device_count == kMaxDevices) return Errno::kNOMEM;
  devices[device_count++] = &device;
  log(LogLevel::kInfo, "{}: {} KiB{}", device.name(), device.sectors() / 2, device.is_read_only() ? ", read-only" : "");
  return {};
}

Result<void> add_partition(BlockDevice& whole, uint32_t number, uint64_t first, uint64_t sectors) {
  if (first == 0 || sectors == 0 || first >= whole.sectors() || sectors > whole.sectors() - first) return {};
  char* name = static_cast<char*>(slab_allocate(16));
  if (!name) return Errno::kNOMEM;
  BufferSink sink(std::span<char>(name, 16));
  format(sink, "{}{}", whole.name(), number);
  DeviceNumber id{whole.number().major, whole.number().minor + number};
  Partition* partition = TRY(slab_new<Partition>(whole, sink.text(), id, first, sectors));
  return remember(*partition);
}

// The four entries of the sector at `sector`, if it is a partition sector.
Result<bool> read_entries(BlockDevice& device, uint64_t sector, MbrEntry (&entries)[4]) {
  PinnedFrame page = TRY(device.object().page(PageIndex::of_byte(sector * kSectorSize)));
  const uint8_t* data = page.data() + (sector * kSectorSize & kPageMask);
  if (data[kSignatureAt] != 0x55 || data[kSignatureAt + 1] != 0xaa) return false;
  memcpy(entries, data + kEntriesAt, sizeof entries);
  for (const MbrEntry& entry : entries)
    if (entry.status & 0x7f) return false;  // a boot sector of something else
  return true;
}

// Each link of the chain has one logical partition, relative to the link, and the next link, relative to the extended partition.
Result<void> add_logical(BlockDevice& device, uint64_t extended) {
  uint64_t link = extended;
  for (uint32_t number = kFirstLogical; number <= kLastPartition; number++) {
    MbrEntry entries[4];
    if (link >= device.sectors() || !TRY(read_entries(device, link, entries))) return {};
    TRY(add_partition(device, number, link + little_endian(entries[0].first_sector), little_endian(entries[0].sectors)));
    if (!is_extended(entries[1].type)) return {};
    uint64_t next = extended + little_endian(entries[1].first_sector);
    if (next <= link) return {};  // a chain that turns back would show the same partitions again
    link = next;
  }
  return {};
}

Result<void> add_partitions(BlockDevice& device) {
  MbrEntry entries[4];
  if (device.sectors() < 2 || !TRY(read_entries(device, 0, entries))) return {};
  for (uint32_t i = 0; i < 4; i++) {
    if (entries[i].type == 0) continue;
    uint64_t first = little_endian(entries[i].first_sector);
    if (is_extended(entries[i].type))
      TRY(add_logical(device, first));
    else
      TRY(add_partition(device, i + 1, first, little_endian(entries[i].sectors)));
  }
  return {};
}

}  // namespace

Result<void> block_device_register(BlockDevice& device) {
  TRY(remember(device));
  Result<void> partitions = add_partitions(device);
  if (!partitions.ok()) log(LogLevel::kWarning, "{}: cannot read the partition table", device.name());
  return {};
}

BlockDevice* block_device_at(uint32_t index) { return index < device_count ? devices[index] : nullptr; }

BlockDevice* block_device_find(StringView name) {
  for (uint32_t i = 0; i < device_count; i++)
    if (devices[i]->name() == name) return devices[i];
  return nullptr;
}

BlockDevice* block_device_find(DeviceNumber number) {
  for (uint32_t i = 0; i < device_count; i++)
    if (devices[i]->number().encode() == number.encode()) return devices[i];
  return nullptr;
}

}  // namespace faultline
