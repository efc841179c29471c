// /dev/kmsg. Each read gives one record; there is no waiting for new ones yet, so a reader at the end gets EAGAIN.
#include "kernel/files/kernel_log_file.h"

#include "fs/character_device.h"
#include "kernel/log.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint32_t kLongestRecord = 512;

class KernelLogFile final : public File {
 public:
  using File::File;
  ~KernelLogFile() override = default;

  Result<size_t> read(IoBuffer& buffer) override {
    LockGuard guard(position_lock_);
    char record[kLongestRecord];
    uint64_t next = position_;
    size_t length = log_read_record(next, record);
    if (length == 0) return Errno::kAGAIN;
    if (length > buffer.remaining()) return Errno::kINVAL;
    TRY(buffer.put_all(record, length));
    position_ = next;
    return length;
  }

  Result<size_t> write(IoBuffer& buffer) override {
    char line[256];
    size_t bytes = buffer.remaining();
    size_t taken = TRY(buffer.take(line, bytes < sizeof line ? bytes : sizeof line));
    while (taken != 0 && line[taken - 1] == '\n') taken--;
    log(LogLevel::kInfo, "{}", StringView(line, taken));
    return bytes;
  }

  // Positions count records.
  bool is_seekable() const override { return true; }
  Result<size_t> read_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }
  Result<size_t> write_at(uint64_t, IoBuffer&) override { return Errno::kSPIPE; }

 private:
  void last_reference_gone() override { slab_delete(this); }
};

Result<Ref<File>> open_kernel_log(Ref<Inode> inode, DeviceNumber, uint32_t flags) {
  return Ref<File>::adopt(TRY(slab_new<KernelLogFile>(std::move(inode), flags)));
}

}  // namespace

Result<void> kernel_log_register() { return character_device_register("kmsg", {1, 11}, 0644, open_kernel_log); }

}  // namespace faultline
