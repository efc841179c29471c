// The pieces of readv, writev, sendmsg and their like, read from the caller and checked as a whole.
#pragma once

#include <span>

#include "mm/io_buffer.h"
#include "mm/slab.h"
#include "mm/user_memory.h"

namespace faultline {

class UserPieces {
 public:
  static constexpr uint32_t kMaximum = 1024;  // IOV_MAX

  UserPieces() = default;
  UserPieces(const UserPieces&) = delete;
  UserPieces& operator=(const UserPieces&) = delete;
  // kINVAL: too many pieces or bytes; kFAULT, kNOMEM.
  Result<void> read(UserPtr<const IoPiece> source, uint32_t count) {
    if (count > kMaximum) return Errno::kINVAL;
    IoPiece* pieces = on_stack_;
    if (count > kOnStack) {
      memory_ = TRY(Buffer<IoPiece>::create(count));
      pieces = memory_.data();
    }
    TRY(user_read_bytes(pieces, source.address(), count * sizeof(IoPiece)));
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) total += pieces[i].bytes;
    if (total > 0x7fffffff) return Errno::kINVAL;
    pieces_ = {pieces, count};
    return {};
  }
  // For one call; the pieces must outlive it.
  IoBuffer buffer() const { return IoBuffer::user_pieces(pieces_); }

 private:
  static constexpr uint32_t kOnStack = 8;
  IoPiece on_stack_[kOnStack];
  Buffer<IoPiece> memory_;
  std::span<const IoPiece> pieces_;
};
static_assert(sizeof(IoPiece) == 8, "struct iovec");

}  // namespace faultline
