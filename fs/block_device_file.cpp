// Open block device nodes: the raw device's cache.
#include "fs/block_device.h"
#include "fs/standard_files.h"
#include "mm/slab.h"

namespace faultline {

namespace {

class BlockDeviceFile final : public File {
 public:
  BlockDeviceFile(Ref<Inode> inode, uint32_t flags, BlockDevice& device) : File(std::move(inode), flags), device_(device) {}
  ~BlockDeviceFile() override = default;

  Result<size_t> read_at(uint64_t offset, IoBuffer& buffer) override { return device_.object().read(offset, buffer); }
  Result<size_t> write_at(uint64_t offset, IoBuffer& buffer) override {
    if (device_.is_read_only()) return Errno::kPERM;
    uint64_t size = bytes();
    if (buffer.remaining() == 0) return size_t{0};
    if (offset >= size) return Errno::kNOSPC;
    if (buffer.remaining() > size - offset) buffer.shrink_to(static_cast<size_t>(size - offset));
    LockGuard guard(inode()->content_lock());
    return device_.object().write(offset, buffer);
  }
  bool is_seekable() const override { return true; }
  Result<uint64_t> seek(int64_t offset, uint32_t whence) override {
    if (whence == kSeekEnd) {
      offset += static_cast<int64_t>(bytes());
      whence = kSeekSet;
    }
    return File::seek(offset, whence);
  }
  Result<Ref<Object>> map_object() override { return Ref<Object>(device_.object()); }
  Result<void> synchronize(bool) override {
    TRY(device_.object().write_back_all(WriteBack::kWait));
    return device_.flush();
  }
  Result<uint32_t> ioctl(uint32_t request, uint32_t argument) override {
    constexpr uint32_t kReadOnlyGet = 0x125e, kSizeInSectors = 0x1260, kFlushCache = 0x1261, kSectorBytes = 0x1268,
                       kSizeInBytes = 0x80041272;
    switch (request) {
      case kReadOnlyGet: TRY(user_write(UserPtr<uint32_t>(argument), device_.is_read_only() ? 1u : 0u)); return 0u;
      case kSizeInSectors: TRY(user_write(UserPtr<uint32_t>(argument), static_cast<uint32_t>(device_.sectors()))); return 0u;
      case kSectorBytes: TRY(user_write(UserPtr<uint32_t>(argument), kSectorSize)); return 0u;
      case kSizeInBytes: TRY(user_write(UserPtr<uint64_t>(argument), bytes())); return 0u;
      case kFlushCache: TRY(synchronize(true)); return 0u;
      default: return Errno::kNOTTY;
    }
  }

 private:
  uint64_t bytes() const { return device_.sectors() * kSectorSize; }
  void last_reference_gone() override { slab_delete(this); }
  BlockDevice& device_;
};

}  // namespace

Result<Ref<File>> open_block_device_file(Ref<Inode> inode, DeviceNumber number, uint32_t flags) {
  BlockDevice* device = block_device_find(number);
  if (!device) return Errno::kNXIO;
  if (device->is_read_only() && (flags & kOpenAccessMode) != kOpenReadOnly) return Errno::kROFS;
  return Ref<File>::adopt(TRY(slab_new<BlockDeviceFile>(std::move(inode), flags, *device)));
}

}  // namespace faultline
