// read, write and their vectored and positioned forms; lseek; sendfile, copy_file_range.
#include "kernel/files/calls.h"
#include "kernel/files/support.h"
#include "kernel/files/user_pieces.h"

namespace faultline {

namespace {

Result<uint64_t> checked_offset(File& file, uint32_t low, uint32_t high) {
  int64_t offset = join_words(low, high);
  if (offset < 0) return Errno::kINVAL;
  if (!file.is_seekable()) return Errno::kSPIPE;
  return static_cast<uint64_t>(offset);
}

uint32_t moved(size_t bytes) { return static_cast<uint32_t>(bytes); }

}  // namespace

Result<uint32_t> sys_read(uint32_t, TrapFrame& frame) {
  FileHandle file = TRY(readable_file(static_cast<int32_t>(frame.ebx)));
  IoBuffer buffer = user_buffer(VirtAddr(frame.ecx), frame.edx);
  return moved(TRY(file->read(buffer)));
}

Result<uint32_t> sys_write(uint32_t, TrapFrame& frame) {
  FileHandle file = TRY(writable_file(static_cast<int32_t>(frame.ebx)));
  IoBuffer buffer = user_buffer(VirtAddr(frame.ecx), frame.edx);
  return moved(TRY(file->write(buffer)));
}

Result<uint32_t> sys_readv(int32_t descriptor, UserPtr<const IoPiece> pieces, uint32_t count) {
  FileHandle file = TRY(readable_file(descriptor));
  UserPieces all;
  TRY(all.read(pieces, count));
  IoBuffer buffer = all.buffer();
  return moved(TRY(file->read(buffer)));
}

Result<uint32_t> sys_writev(int32_t descriptor, UserPtr<const IoPiece> pieces, uint32_t count) {
  FileHandle file = TRY(writable_file(descriptor));
  UserPieces all;
  TRY(all.read(pieces, count));
  IoBuffer buffer = all.buffer();
  return moved(TRY(file->write(buffer)));
}

Result<uint32_t> sys_pread64(int32_t descriptor, VirtAddr address, uint32_t bytes, uint32_t low, uint32_t high) {
  FileHandle file = TRY(readable_file(descriptor));
  uint64_t offset = TRY(checked_offset(*file, low, high));
  IoBuffer buffer = user_buffer(address, bytes);
  return moved(TRY(file->read_at(offset, buffer)));
}

Result<uint32_t> sys_pwrite64(int32_t descriptor, VirtAddr address, uint32_t bytes, uint32_t low, uint32_t high) {
  FileHandle file = TRY(writable_file(descriptor));
  uint64_t offset = TRY(checked_offset(*file, low, high));
  IoBuffer buffer = user_buffer(address, bytes);
  return moved(TRY(file->write_at(offset, buffer)));
}

Result<uint32_t> sys_preadv(int32_t descriptor, UserPtr<const IoPiece> pieces, uint32_t count, uint32_t low, uint32_t high) {
  FileHandle file = TRY(readable_file(descriptor));
  uint64_t offset = TRY(checked_offset(*file, low, high));
  UserPieces all;
  TRY(all.read(pieces, count));
  IoBuffer buffer = all.buffer();
  return moved(TRY(file->read_at(offset, buffer)));
}

Result<uint32_t> sys_pwritev(int32_t descriptor, UserPtr<const IoPiece> pieces, uint32_t count, uint32_t low, uint32_t high) {
  FileHandle file = TRY(writable_file(descriptor));
  uint64_t offset = TRY(checked_offset(*file, low, high));
  UserPieces all;
  TRY(all.read(pieces, count));
  IoBuffer buffer = all.buffer();
  return moved(TRY(file->write_at(offset, buffer)));
}

// Offset -1 means the file's own position. No RWF_ flags are supported.
Result<uint32_t> sys_preadv2(int32_t descriptor, UserPtr<const IoPiece> pieces, uint32_t count, uint32_t low, uint32_t high,
                             uint32_t flags) {
  if (flags != 0) return Errno::kOPNOTSUPP;
  if (join_words(low, high) == -1) return sys_readv(descriptor, pieces, count);
  return sys_preadv(descriptor, pieces, count, low, high);
}
Result<uint32_t> sys_pwritev2(int32_t descriptor, UserPtr<const IoPiece> pieces, uint32_t count, uint32_t low, uint32_t high,
                              uint32_t flags) {
  if (flags != 0) return Errno::kOPNOTSUPP;
  if (join_words(low, high) == -1) return sys_writev(descriptor, pieces, count);
  return sys_pwritev(descriptor, pieces, count, low, high);
}

Result<uint32_t> sys_lseek(int32_t descriptor, int32_t offset, uint32_t whence) {
  FileHandle file = TRY(descriptor_file(descriptor));
  uint64_t position = TRY(file->seek(offset, whence));
  if (position > 0x7fffffff) return Errno::kOVERFLOW;
  return static_cast<uint32_t>(position);
}

Result<uint32_t> sys__llseek(int32_t descriptor, uint32_t high, uint32_t low, UserPtr<uint64_t> result, uint32_t whence) {
  FileHandle file = TRY(descriptor_file(descriptor));
  uint64_t position = TRY(file->seek(join_words(low, high), whence));
  TRY(user_write(result, position));
  return 0u;
}

namespace {

// One side of a copy: an explicit offset, or the file's position.
struct CopyEnd {
  File& file;
  bool has_offset;
  uint64_t offset;
  Result<size_t> read(IoBuffer& buffer) { return has_offset ? file.read_at(offset, buffer) : file.read(buffer); }
  Result<size_t> write(IoBuffer& buffer) { return has_offset ? file.write_at(offset, buffer) : file.write(buffer); }
};

// Through a kernel buffer. What was read but could not be written is given back by seeking.
Result<uint32_t> copy_between(CopyEnd from, CopyEnd to, uint32_t bytes, uint64_t& from_offset, uint64_t& to_offset) {
  constexpr size_t kPiece = 32 * 1024;
  if (bytes > kMaximumTransfer) bytes = kMaximumTransfer;
  Buffer<uint8_t> memory = TRY(Buffer<uint8_t>::create(bytes < kPiece && bytes != 0 ? bytes : kPiece));
  uint32_t total = 0;
  while (total < bytes) {
    IoBuffer in = IoBuffer::kernel(memory.data(), bytes - total < memory.size() ? bytes - total : memory.size());
    Result<size_t> got = from.read(in);
    if (!got.ok()) return total != 0 ? Result<uint32_t>(total) : got.error();
    if (got.value() == 0) break;
    IoBuffer out = IoBuffer::kernel(memory.data(), got.value());
    Result<size_t> put = to.write(out);
    size_t written = put.ok() ? put.value() : 0;
    if (written < got.value() && !from.has_offset)
      ignore_result(from.file.seek(-static_cast<int64_t>(got.value() - written), kSeekCurrent));  // it has just moved forwards
    from.offset += written;
    to.offset += written;
    total += static_cast<uint32_t>(written);
    if (written < got.value()) {
      if (!put.ok() && total == 0) return put.error();
      break;
    }
  }
  from_offset = from.offset;
  to_offset = to.offset;
  return total;
}

template <typename Offset>
Result<uint32_t> send_file(int32_t out, int32_t in, UserPtr<Offset> offset, uint32_t bytes) {
  FileHandle from = TRY(readable_file(in));
  FileHandle to = TRY(writable_file(out));
  if (!from->is_seekable()) return offset.is_null() ? Errno::kINVAL : Errno::kSPIPE;
  if (to->flags() & kOpenAppend) return Errno::kINVAL;
  CopyEnd source{*from, !offset.is_null(), 0}, destination{*to, false, 0};
  if (source.has_offset) {
    auto start = TRY(user_read(offset));
    if (static_cast<std::make_signed_t<Offset>>(start) < 0) return Errno::kINVAL;
    source.offset = start;
  }
  uint64_t after = source.offset, unused = 0;
  uint32_t total = TRY(copy_between(source, destination, bytes, after, unused));
  if (source.has_offset) TRY(user_write(offset, static_cast<Offset>(after)));
  return total;
}

}  // namespace

Result<uint32_t> sys_sendfile(int32_t out, int32_t in, UserPtr<uint32_t> offset, uint32_t bytes) {
  return send_file(out, in, offset, bytes);
}
Result<uint32_t> sys_sendfile64(int32_t out, int32_t in, UserPtr<uint64_t> offset, uint32_t bytes) {
  return send_file(out, in, offset, bytes);
}

Result<uint32_t> sys_copy_file_range(int32_t in, UserPtr<uint64_t> in_offset, int32_t out, UserPtr<uint64_t> out_offset, uint32_t bytes,
                                     uint32_t flags) {
  if (flags != 0) return Errno::kINVAL;
  FileHandle from = TRY(readable_file(in));
  FileHandle to = TRY(writable_file(out));
  for (File* file : {from.get(), to.get()}) {
    if (file->inode() && file->inode()->is_directory()) return Errno::kISDIR;
    if (!file->inode() || file->inode()->type() != FileType::kRegular) return Errno::kINVAL;
  }
  if (to->flags() & kOpenAppend) return Errno::kBADF;
  CopyEnd source{*from, !in_offset.is_null(), 0}, destination{*to, !out_offset.is_null(), 0};
  if (source.has_offset) source.offset = TRY(user_read(in_offset));
  if (destination.has_offset) destination.offset = TRY(user_read(out_offset));
  if (from->inode() == to->inode()) {
    uint64_t a = source.has_offset ? source.offset : TRY(from->seek(0, kSeekCurrent));
    uint64_t b = destination.has_offset ? destination.offset : TRY(to->seek(0, kSeekCurrent));
    if (a < b + bytes && b < a + bytes) return Errno::kINVAL;
  }
  uint64_t from_after = source.offset, to_after = destination.offset;
  uint32_t total = TRY(copy_between(source, destination, bytes, from_after, to_after));
  if (source.has_offset) TRY(user_write(in_offset, from_after));
  if (destination.has_offset) TRY(user_write(out_offset, to_after));
  return total;
}

// Allowed to fail for files that are no pipes of ours: callers fall back to read and write.
Result<uint32_t> sys_splice() { return Errno::kINVAL; }
Result<uint32_t> sys_tee() { return Errno::kINVAL; }

}  // namespace faultline
