// getdents and getdents64. Entries are collected in kernel memory, because the directory is locked while it is read.
#include "kernel/files/calls.h"
#include "kernel/files/support.h"
#include "lib/abi/stat.h"

namespace faultline {

namespace {

constexpr uint32_t kMaximumBuffer = 32 * 1024;

// d_type as in readdir(3): the file type's bits, shifted.
uint8_t type_code(FileType type) { return static_cast<uint8_t>(static_cast<uint32_t>(type) >> 12); }

class EntrySink : public DirectorySink {
 public:
  explicit EntrySink(std::span<uint8_t> memory) : memory_(memory) {}
  uint32_t used() const { return used_; }
  bool refused() const { return refused_; }

 protected:
  // The next `bytes` bytes, zeroed, or null.
  uint8_t* reserve(uint32_t bytes) {
    if (bytes > memory_.size() - used_) {
      refused_ = true;
      return nullptr;
    }
    uint8_t* at = memory_.data() + used_;
    memset(at, 0, bytes);
    used_ += bytes;
    return at;
  }
  ~EntrySink() = default;

 private:
  std::span<uint8_t> memory_;
  uint32_t used_ = 0;
  bool refused_ = false;
};

class EntrySink64 final : public EntrySink {
 public:
  using EntrySink::EntrySink;
  bool put(StringView name, uint64_t inode, FileType type, uint64_t next) override {
    uint32_t bytes = align_up<uint32_t>(static_cast<uint32_t>(sizeof(abi::DirectoryEntry64) + name.size() + 1), 8);
    uint8_t* at = reserve(bytes);
    if (!at) return false;
    abi::DirectoryEntry64 entry{inode, next, static_cast<uint16_t>(bytes), type_code(type)};
    memcpy(at, &entry, sizeof entry);
    memcpy(at + sizeof entry, name.data(), name.size());
    return true;
  }
};

class EntrySink32 final : public EntrySink {
 public:
  using EntrySink::EntrySink;
  bool put(StringView name, uint64_t inode, FileType type, uint64_t next) override {
    uint32_t bytes = align_up<uint32_t>(static_cast<uint32_t>(sizeof(abi::DirectoryEntry32) + name.size() + 2), 4);
    uint8_t* at = reserve(bytes);
    if (!at) return false;
    abi::DirectoryEntry32 entry{static_cast<uint32_t>(inode), static_cast<uint32_t>(next), static_cast<uint16_t>(bytes)};
    memcpy(at, &entry, sizeof entry);
    memcpy(at + sizeof entry, name.data(), name.size());
    at[bytes - 1] = type_code(type);
    return true;
  }
};

template <typename Sink>
Result<uint32_t> get_entries(int32_t descriptor, VirtAddr address, uint32_t bytes) {
  FileHandle file = TRY(readable_file(descriptor));
  uint32_t size = bytes < kMaximumBuffer ? bytes : kMaximumBuffer;
  if (size == 0) return Errno::kINVAL;
  Buffer<uint8_t> memory = TRY(Buffer<uint8_t>::create(size));
  Sink sink({memory.data(), size});
  TRY(file->read_directory(sink));
  if (sink.used() == 0 && sink.refused()) return Errno::kINVAL;  // not even one fits
  TRY(user_write_bytes(address, memory.data(), sink.used()));
  return sink.used();
}

}  // namespace

Result<uint32_t> sys_getdents64(int32_t descriptor, VirtAddr address, uint32_t bytes) {
  return get_entries<EntrySink64>(descriptor, address, bytes);
}
Result<uint32_t> sys_getdents(int32_t descriptor, VirtAddr address, uint32_t bytes) {
  return get_entries<EntrySink32>(descriptor, address, bytes);
}

}  // namespace faultline
