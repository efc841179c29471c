// /dev/kmsg, as Linux's Documentation/ABI/testing/dev-kmsg says: each read gives one record, each write makes one, and a position is the number of
// a record.
#include "kernel/files/kernel_log_file.h"

#include "fs/character_device.h"
#include "kernel/log.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint32_t kFacilityUser = 1, kDefaultLevel = 4;
constexpr uint32_t kSeekSet = 0, kSeekEnd = 2, kSeekData = 3;

// "priority,sequence,microseconds,-;text\n". What would not be one printable line is written as \xNN.
void put_record(FormatSink& sink, const LogRecord& record) {
  format(sink, "{},{},{},-;", record.priority, record.sequence, record.nanoseconds / 1000);
  for (char c : record.line()) {
    const uint8_t byte = static_cast<uint8_t>(c);
    if (byte < 32 || byte >= 127 || c == '\\')
      format(sink, "\\x{02x}", byte);
    else
      sink.put({&c, 1});
  }
  sink.put("\n");
}

// Takes "<priority>" off the line. What programs say is never the kernel's.
uint32_t take_priority(StringView& line) {
  uint32_t priority = 0;
  size_t at = 1;
  for (; at < 5 && at < line.size() && line[at] >= '0' && line[at] <= '9'; at++)
    priority = priority * 10 + static_cast<uint32_t>(line[at] - '0');
  if (line.empty() || line[0] != '<' || at == 1 || at >= line.size() || line[at] != '>') return kFacilityUser * 8 + kDefaultLevel;
  line = line.substring(at + 1);
  return priority >= 8 ? priority : kFacilityUser * 8 + priority;
}

class KernelLogFile final : public File {
 public:
  KernelLogFile(Ref<Inode> inode, uint32_t flags) : File(std::move(inode), flags) { position_ = log_extent().first; }
  ~KernelLogFile() override = default;

  Result<size_t> read(IoBuffer& buffer) override {
    for (;;) {
      uint64_t wanted;
      Result<size_t> taken = take(buffer, wanted);
      if (taken.ok() || taken.error() != Errno::kAGAIN || may_not_wait(buffer)) return taken;
      TRY(wait_restartable(log_news(), [wanted] { return log_extent().end > wanted; }));
    }
  }

  Result<size_t> write(IoBuffer& buffer) override {
    const size_t bytes = buffer.remaining();
    if (bytes > LogRecord::kLongest) return Errno::kINVAL;
    Buffer<char> text = TRY(Buffer<char>::create(LogRecord::kLongest));
    StringView line(text.data(), TRY(buffer.take(text.data(), bytes)));
    const uint32_t priority = take_priority(line);
    if (!line.empty() && line[line.size() - 1] == '\n') line = line.substring(0, line.size() - 1);
    log_add(priority, line);
    return bytes;
  }

  bool is_seekable() const override { return true; }
  Result<size_t> read_at(uint64_t, IoBuffer& buffer) override { return read(buffer); }
  Result<size_t> write_at(uint64_t, IoBuffer& buffer) override { return write(buffer); }
  Result<uint64_t> seek(int64_t offset, uint32_t whence) override {
    if (offset != 0) return Errno::kSPIPE;
    const LogExtent extent = log_extent();
    LockGuard guard(position_lock_);
    switch (whence) {
      case kSeekSet: position_ = extent.first; break;
      case kSeekData: position_ = extent.cleared; break;
      case kSeekEnd: position_ = extent.end; break;
      default: return Errno::kINVAL;
    }
    return uint64_t{0};
  }

  uint32_t poll(PollTable* table) override {
    if (table) table->register_queue(log_news());
    const LogExtent extent = log_extent();
    LockGuard guard(position_lock_);
    if (position_ >= extent.end) return 0;
    return kPollIn | kPollReadNormal | (position_ < extent.first ? kPollError | kPollPriority : 0);
  }

 private:
  // The next record; `wanted` is its number. kAGAIN: there is none yet; kPIPE, once: some have been overwritten unread; kINVAL: the buffer is too
  // short, and the record is passed over.
  Result<size_t> take(IoBuffer& buffer, uint64_t& wanted) {
    Buffer<LogRecord> memory = TRY(Buffer<LogRecord>::create(1));
    Buffer<char> text = TRY(Buffer<char>::create(kPageSize));
    LogRecord& record = memory[0];
    LockGuard guard(position_lock_);
    wanted = position_;
    if (!log_read(wanted, record)) return Errno::kAGAIN;
    position_ = record.sequence;
    if (record.sequence != wanted) return Errno::kPIPE;
    position_++;
    BufferSink sink({text.data(), text.size()});
    put_record(sink, record);
    if (sink.text().size() > buffer.remaining()) return Errno::kINVAL;
    TRY(buffer.put_all(text.data(), sink.text().size()));
    return sink.text().size();
  }

  void last_reference_gone() override { slab_delete(this); }
};

Result<Ref<File>> open_kernel_log(Ref<Inode> inode, DeviceNumber, uint32_t flags) {
  return Ref<File>::adopt(TRY(slab_new<KernelLogFile>(std::move(inode), flags)));
}

}  // namespace

Result<void> kernel_log_register() {
  log_news_initialize();
  return character_device_register("kmsg", {1, 11}, 0644, open_kernel_log);
}

}  // namespace faultline
