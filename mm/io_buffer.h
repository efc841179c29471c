// Where the bytes of a read or write come from and go to: the caller's user memory (one or several pieces) or a kernel buffer
// (exec's headers, tests). Files see only this, so every file can serve both.
#pragma once

#include <cstddef>
#include <span>

#include "arch/user_copy.h"
#include "lib/address.h"
#include "lib/result.h"

namespace faultline {

struct IoPiece {
  VirtAddr address;  // user
  uint32_t bytes;
};

class IoBuffer {
 public:
  // A user range; nothing is checked before the bytes move.
  static IoBuffer user(VirtAddr address, size_t bytes) { return IoBuffer({address, static_cast<uint32_t>(bytes)}, {}, bytes); }
  // Several user ranges; `pieces` must outlive the buffer.
  static IoBuffer user_pieces(std::span<const IoPiece> pieces);
  static IoBuffer kernel(void* data, size_t bytes) {
    IoBuffer buffer({}, {}, bytes);
    buffer.kernel_ = static_cast<uint8_t*>(data);
    return buffer;
  }

  // Whoever moves the bytes is not to sleep for them to come or for room: kAGAIN, or fewer, instead (O_NONBLOCK for one call, regular files and
  // disks included). The caller's own memory may still fault.
  void set_impatient(bool impatient) { is_impatient_ = impatient; }
  bool is_impatient() const { return is_impatient_; }

  size_t remaining() const { return remaining_; }
  size_t done() const { return done_; }

  // Moves up to `bytes` (and at most remaining()) to or from the caller's memory and advances. Returns how many bytes moved, or
  // kFAULT if none could. May sleep in a page fault: see user_memory.h for what must not be held.
  Result<size_t> put(const void* source, size_t bytes) {  // read(2)'s direction
    if (bytes > remaining_) bytes = remaining_;
    return is_simple(bytes) ? advance(bytes, user_copy_out(current_.address, source, bytes)) : put_by_pieces(source, bytes);
  }
  Result<size_t> put_zeroes(size_t bytes) {
    if (bytes > remaining_) bytes = remaining_;
    return is_simple(bytes) ? advance(bytes, user_zero(current_.address, bytes)) : put_zeroes_by_pieces(bytes);
  }
  Result<size_t> take(void* destination, size_t bytes) {  // write(2)'s direction
    if (bytes > remaining_) bytes = remaining_;
    return is_simple(bytes) ? advance(bytes, user_copy_in(destination, current_.address, bytes)) : take_by_pieces(destination, bytes);
  }
  // As put and take, but nothing moved counts as failure even in part (fixed-size records).
  Result<void> put_all(const void* source, size_t bytes) {
    if (bytes > remaining_) return Errno::kINVAL;
    return TRY(put(source, bytes)) == bytes ? Result<void>() : Errno::kFAULT;
  }
  Result<void> take_all(void* destination, size_t bytes) {
    if (bytes > remaining_) return Errno::kINVAL;
    return TRY(take(destination, bytes)) == bytes ? Result<void>() : Errno::kFAULT;
  }
  void shrink_to(size_t bytes) { remaining_ = bytes < remaining_ ? bytes : remaining_; }

 private:
  IoBuffer(IoPiece first, std::span<const IoPiece> more, size_t bytes) : current_(first), more_(more), remaining_(bytes) {}
  // One user range covers it: the common case costs a copy and four additions.
  bool is_simple(size_t bytes) const { return bytes <= current_.bytes; }  // a kernel buffer has no current_
  // `left` of `bytes` could not be moved. They are not tried again: what a second attempt moved would have to be counted as well.
  Result<size_t> advance(size_t bytes, size_t left) {
    if (left != 0) [[unlikely]] {
      if (left == bytes) return Errno::kFAULT;
      bytes -= left;
    }
    current_.address = current_.address + static_cast<uint32_t>(bytes);
    current_.bytes -= static_cast<uint32_t>(bytes);
    remaining_ -= bytes;
    done_ += bytes;
    return bytes;
  }
  Result<size_t> put_by_pieces(const void* source, size_t bytes);
  Result<size_t> put_zeroes_by_pieces(size_t bytes);
  Result<size_t> take_by_pieces(void* destination, size_t bytes);
  size_t contiguous(size_t limit);
  template <typename MoveKernel, typename MoveUser>
  Result<size_t> move(size_t bytes, MoveKernel move_kernel, MoveUser move_user);
  IoPiece current_{};
  std::span<const IoPiece> more_;
  uint8_t* kernel_ = nullptr;
  size_t remaining_ = 0;
  size_t done_ = 0;
  bool is_impatient_ = false;
};

}  // namespace faultline
