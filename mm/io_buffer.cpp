// Moving bytes between files and whoever called read or write: see io_buffer.h.
#include "mm/io_buffer.h"

#include "arch/user_copy.h"
#include "lib/string.h"

namespace faultline {

IoBuffer IoBuffer::user_pieces(std::span<const IoPiece> pieces) {
  size_t bytes = 0;
  for (const IoPiece& piece : pieces) bytes += piece.bytes;
  return IoBuffer({}, pieces, bytes);
}

// The user bytes that lie together at the current place, at most `limit`; steps over finished pieces.
size_t IoBuffer::contiguous(size_t limit) {
  while (current_.bytes == 0 && !more_.empty()) {
    current_ = more_.front();
    more_ = more_.subspan(1);
  }
  return current_.bytes < limit ? current_.bytes : limit;
}

template <typename MoveKernel, typename MoveUser>
Result<size_t> IoBuffer::move(size_t bytes, MoveKernel move_kernel, MoveUser move_user) {
  if (bytes > remaining_) bytes = remaining_;
  size_t moved = 0;
  if (kernel_) {
    move_kernel(kernel_ + done_, bytes);
    moved = bytes;
  }
  while (moved < bytes) {
    size_t piece = contiguous(bytes - moved);
    size_t left = move_user(current_.address, moved, piece);
    size_t step = piece - left;
    current_.address = current_.address + static_cast<uint32_t>(step);
    current_.bytes -= static_cast<uint32_t>(step);
    moved += step;
    if (left != 0) break;
  }
  remaining_ -= moved;
  done_ += moved;
  if (moved == 0 && bytes != 0) return Errno::kFAULT;
  return moved;
}

Result<size_t> IoBuffer::put_by_pieces(const void* source, size_t bytes) {
  const uint8_t* from = static_cast<const uint8_t*>(source);
  return move(
      bytes, [&](uint8_t* to, size_t n) { memcpy(to, from, n); },
      [&](VirtAddr to, size_t at, size_t n) { return user_copy_out(to, from + at, n); });
}

Result<size_t> IoBuffer::put_zeroes_by_pieces(size_t bytes) {
  return move(
      bytes, [&](uint8_t* to, size_t n) { memset(to, 0, n); }, [&](VirtAddr to, size_t, size_t n) { return user_zero(to, n); });
}

Result<size_t> IoBuffer::take_by_pieces(void* destination, size_t bytes) {
  uint8_t* to = static_cast<uint8_t*>(destination);
  return move(
      bytes, [&](uint8_t* from, size_t n) { memcpy(to, from, n); },
      [&](VirtAddr from, size_t at, size_t n) { return user_copy_in(to + at, from, n); });
}

}  // namespace faultline
