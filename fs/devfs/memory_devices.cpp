// The devices without hardware: null, zero, full, random, urandom. See null(4), full(4), random(4).
#include "fs/character_device.h"
#include "fs/devfs/devfs.h"
#include "fs/devfs/random.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint32_t kMemoryMajor = 1, kNull = 3, kZero = 5, kFull = 7, kRandom = 8, kUrandom = 9;

// What they share: writes vanish, seeking goes nowhere.
class MemoryFile : public File {
 public:
  using File::File;
  Result<size_t> write(IoBuffer& buffer) override { return buffer.remaining(); }
  Result<size_t> read_at(uint64_t, IoBuffer& buffer) override { return read(buffer); }
  Result<size_t> write_at(uint64_t, IoBuffer& buffer) override { return write(buffer); }
  bool is_seekable() const override { return true; }
  Result<uint64_t> seek(int64_t, uint32_t) override { return uint64_t{0}; }
  Result<void> synchronize(bool) override { return Errno::kINVAL; }

 protected:
  ~MemoryFile() override = default;
};

class NullFile final : public MemoryFile {
 public:
  using MemoryFile::MemoryFile;
  ~NullFile() override = default;
  Result<size_t> read(IoBuffer&) override { return size_t{0}; }
  void last_reference_gone() override { slab_delete(this); }
};

class ZeroFile final : public MemoryFile {
 public:
  using MemoryFile::MemoryFile;
  ~ZeroFile() override = default;
  Result<size_t> read(IoBuffer& buffer) override { return buffer.put_zeroes(buffer.remaining()); }
  Result<Ref<Object>> map_object() override { return Ref<Object>(); }
  void last_reference_gone() override { slab_delete(this); }
};

class FullFile final : public MemoryFile {
 public:
  using MemoryFile::MemoryFile;
  ~FullFile() override = default;
  Result<size_t> read(IoBuffer& buffer) override { return buffer.put_zeroes(buffer.remaining()); }
  Result<size_t> write(IoBuffer& buffer) override { return buffer.remaining() == 0 ? Result<size_t>(size_t{0}) : Errno::kNOSPC; }
  void last_reference_gone() override { slab_delete(this); }
};

class RandomFile final : public MemoryFile {
 public:
  using MemoryFile::MemoryFile;
  ~RandomFile() override = default;
  Result<size_t> read(IoBuffer& buffer) override { return random_read(buffer); }
  void last_reference_gone() override { slab_delete(this); }
};

Result<Ref<File>> open_memory_device(Ref<Inode> inode, DeviceNumber number, uint32_t flags) {
  switch (number.minor) {
    case kNull: return Ref<File>::adopt(TRY(slab_new<NullFile>(std::move(inode), flags)));
    case kZero: return Ref<File>::adopt(TRY(slab_new<ZeroFile>(std::move(inode), flags)));
    case kFull: return Ref<File>::adopt(TRY(slab_new<FullFile>(std::move(inode), flags)));
    case kRandom:
    case kUrandom: return Ref<File>::adopt(TRY(slab_new<RandomFile>(std::move(inode), flags)));
    default: return Errno::kNXIO;
  }
}

}  // namespace

Result<void> memory_devices_register() {
  struct Row {
    StringView name;
    uint32_t minor;
  };
  static constexpr Row kRows[] = {{"null", kNull}, {"zero", kZero}, {"full", kFull}, {"random", kRandom}, {"urandom", kUrandom}};
  for (const Row& row : kRows) TRY(character_device_register(row.name, {kMemoryMajor, row.minor}, 0666, open_memory_device));
  return {};
}

}  // namespace faultline
