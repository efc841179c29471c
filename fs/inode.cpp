// What inodes do when their file system says nothing, and how each type is opened.
#include "fs/inode.h"

#include "fs/character_device.h"
#include "fs/file_locks.h"
#include "fs/pipe.h"
#include "fs/standard_files.h"

namespace faultline {

Inode::~Inode() {
  if (Pipe* pipe = fifo_.load(memory_order_acquire)) pipe->release();
  if (FileLocks* locks = locks_.load(memory_order_acquire)) FileLocks::destroy(locks);
}

Result<Ref<Inode>> Inode::create(StringView, uint32_t, DeviceNumber, const Credentials&) { return Errno::kPERM; }
Result<Ref<Inode>> Inode::make_directory(StringView, uint32_t, const Credentials&) { return Errno::kPERM; }
Result<Ref<Inode>> Inode::make_symlink(StringView, StringView, const Credentials&) { return Errno::kPERM; }
Result<void> Inode::link(StringView, Inode&) { return Errno::kPERM; }
Result<void> Inode::unlink(StringView, Inode&) { return Errno::kPERM; }
Result<void> Inode::remove_directory(StringView, Inode&) { return Errno::kPERM; }
Result<void> Inode::rename(StringView, Inode&, Inode&, StringView, Inode*) { return Errno::kPERM; }
Result<void> Inode::exchange(StringView, Inode&, StringView) { return Errno::kINVAL; }
Result<void> Inode::read_directory(uint64_t, DirectorySink&) { return Errno::kNOTDIR; }
Result<size_t> Inode::read_link(std::span<char>) { return Errno::kINVAL; }

Result<size_t> Inode::write_data(uint64_t offset, IoBuffer& buffer) {
  size_t moved = TRY(object()->write(offset, buffer));
  touch_modified();
  return moved;
}

Result<void> Inode::write_zeroes(uint64_t from, uint64_t to) {
  static constexpr char kZeroes[1024] = {};
  while (from < to) {
    IoBuffer source =
        IoBuffer::kernel(const_cast<char*>(kZeroes), static_cast<size_t>(to - from < sizeof kZeroes ? to - from : sizeof kZeroes));
    from += TRY(write_data(from, source));
  }
  return {};
}

Result<Inode::WholePages> Inode::zero_around_hole(uint64_t offset, uint64_t end) {
  const uint64_t first = align_up<uint64_t>(offset, kPageSize), last = align_down<uint64_t>(end, kPageSize);
  const uint64_t bytes_end = object()->size() < end ? object()->size() : end;
  if (first >= last) {
    TRY(write_zeroes(offset, bytes_end));
    return WholePages{PageIndex(0), 0};
  }
  TRY(write_zeroes(offset, first));
  TRY(write_zeroes(last, bytes_end));
  return WholePages{PageIndex::of_byte(first), static_cast<uint32_t>((last - first) >> kPageShift)};
}

Result<Ref<File>> Inode::open(uint32_t flags) {
  switch (type_) {
    case FileType::kRegular: return open_regular_file(Ref<Inode>(*this), flags);
    case FileType::kDirectory: return open_directory_file(Ref<Inode>(*this), flags);
    case FileType::kFifo: return open_fifo(Ref<Inode>(*this), flags);
    case FileType::kCharacterDevice: return character_device_open(Ref<Inode>(*this), attributes().special, flags);
    case FileType::kBlockDevice: return open_block_device_file(Ref<Inode>(*this), attributes().special, flags);
    case FileType::kSymlink: return Errno::kLOOP;
    case FileType::kSocket: return Errno::kNXIO;
  }
  return Errno::kNXIO;
}

// Both are made at most once: the loser of a race gives its own back.
Result<Pipe*> Inode::fifo() {
  Pipe* present = fifo_.load(memory_order_acquire);
  if (present) return present;
  Ref<Pipe> made = TRY(Pipe::create());
  if (!fifo_.compare_exchange_strong(present, made.get(), memory_order_acq_rel)) return present;
  return made.leak();
}

Result<FileLocks*> Inode::locks_or_new() {
  FileLocks* present = locks();
  if (present) return present;
  FileLocks* made = TRY(FileLocks::create());
  if (locks_.compare_exchange_strong(present, made, memory_order_acq_rel)) return made;
  FileLocks::destroy(made);
  return present;
}

}  // namespace faultline
