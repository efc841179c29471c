// READ, WRITE and their vectored forms, FSYNC, POLL_ADD, CLOSE.
#include "fs/descriptor_table.h"
#include "kernel/files/support.h"
#include "kernel/files/user_pieces.h"
#include "kernel/io_uring/operations.h"

namespace faultline {

namespace {

constexpr uint64_t kOwnPosition = ~0ull;

bool is_on_disk(File& file) {
  Inode* inode = file.inode();
  return inode && (inode->type() == FileType::kRegular || inode->type() == FileType::kBlockDevice);
}

enum class Direction : uint8_t { kRead, kWrite };

// Streams give and take what they can; a file on a disk is read to the end of what was asked for, by a worker from where its pages are not in
// memory. Writes to disks are workers' business from the start: they may need blocks, a journal, pages to be written back.
template <typename T, Direction kDirection>
class Transfer : public RequestOf<T> {
 protected:
  using Patience = Request::Patience;

  Result<void> prepare_transfer(const abi::RingSubmission& submission, IoBuffer buffer) {
    File& file = this->file();
    if (kDirection == Direction::kRead ? !file.is_readable() : !file.is_writable()) return Errno::kBADF;
    if (submission.operation_flags != 0) return Errno::kOPNOTSUPP;
    is_on_disk_ = is_on_disk(file);
    offset_ = file.is_seekable() ? submission.offset : kOwnPosition;
    if (offset_ != kOwnPosition && static_cast<int64_t>(offset_) < 0) return Errno::kINVAL;
    buffer_ = buffer;
    wanted_ = buffer.remaining();
    this->set_interest(kPollError | kPollHangUp |
                       (kDirection == Direction::kRead ? kPollIn | kPollReadNormal | kPollReadHangUp : kPollOut | kPollWriteNormal));
    return {};
  }

  Result<uint32_t> attempt(Patience patience) override {
    if (kDirection == Direction::kWrite && is_on_disk_ && patience == Patience::kNone) return Errno::kAGAIN;
    buffer_.set_impatient(patience == Patience::kNone || !is_on_disk_);
    for (;;) {
      const IoBuffer before = buffer_;
      Result<size_t> moved = move();
      if (!moved.ok()) buffer_ = before;  // nothing has moved, though a socket without room may have taken the bytes
      if (!is_on_disk_) return static_cast<uint32_t>(TRY(std::move(moved)));
      if (!moved.ok() && (buffer_.done() == 0 || moved.error() == Errno::kAGAIN)) return moved.error();
      if (!moved.ok() || moved.value() == 0 || buffer_.remaining() == 0) return static_cast<uint32_t>(buffer_.done());
    }
  }

  bool fell_short(uint32_t result) const override { return result != wanted_; }
  uint32_t done() const override { return static_cast<uint32_t>(buffer_.done()); }

 private:
  Result<size_t> move() {
    File& file = this->file();
    const uint64_t offset = offset_ + buffer_.done();
    if constexpr (kDirection == Direction::kRead)
      return offset_ == kOwnPosition ? file.read(buffer_) : file.read_at(offset, buffer_);
    else
      return offset_ == kOwnPosition ? file.write(buffer_) : file.write_at(offset, buffer_);
  }

  IoBuffer buffer_ = IoBuffer::kernel(nullptr, 0);
  uint64_t offset_ = 0;
  size_t wanted_ = 0;
  bool is_on_disk_ = false;
};

template <Direction kDirection>
class PlainTransfer final : public Transfer<PlainTransfer<kDirection>, kDirection> {
  Result<void> prepare(const abi::RingSubmission& submission) override {
    return this->prepare_transfer(submission, user_buffer(VirtAddr(static_cast<uint32_t>(submission.address)), submission.length));
  }
};

template <Direction kDirection>
class PiecesTransfer final : public Transfer<PiecesTransfer<kDirection>, kDirection> {
  Result<void> prepare(const abi::RingSubmission& submission) override {
    TRY(pieces_.read(UserPtr<const IoPiece>(static_cast<uint32_t>(submission.address)), submission.length));
    return this->prepare_transfer(submission, pieces_.buffer());
  }
  UserPieces pieces_;
};

class Synchronize final : public RequestOf<Synchronize> {
  Result<void> prepare(const abi::RingSubmission& submission) override {
    if (submission.address != 0 || (submission.operation_flags & ~abi::kRingSynchronizeData)) return Errno::kINVAL;
    is_data_only_ = submission.operation_flags & abi::kRingSynchronizeData;
    return {};
  }
  Result<uint32_t> attempt(Patience patience) override {
    if (patience == Patience::kNone && is_on_disk(file())) return Errno::kAGAIN;
    TRY(file().synchronize(is_data_only_));
    return 0u;
  }
  bool is_data_only_ = false;
};

class Poll final : public RequestOf<Poll> {
  Result<void> prepare(const abi::RingSubmission& submission) override {
    constexpr uint32_t kKnown = kPollIn | kPollPriority | kPollOut | kPollReadNormal | kPollWriteNormal | kPollWriteBand | kPollReadHangUp;
    if (submission.address != 0 || submission.offset != 0 || submission.length != 0) return Errno::kINVAL;
    wanted_ = (submission.operation_flags & kKnown) | kPollError | kPollHangUp;
    set_interest(wanted_);
    return {};
  }
  Result<uint32_t> attempt(Patience) override {
    const uint32_t events = file().poll(nullptr) & wanted_;
    return events != 0 ? Result<uint32_t>(events) : Errno::kAGAIN;
  }
  uint32_t wanted_ = 0;
};

class Close final : public RequestOf<Close> {
  Result<void> prepare(const abi::RingSubmission& submission) override {
    if (submission.address != 0 || submission.offset != 0 || submission.length != 0 || submission.operation_flags != 0)
      return Errno::kINVAL;
    if (submission.file_index != 0) return Errno::kINVAL;
    descriptor_ = static_cast<uint32_t>(submission.descriptor);
    return {};
  }
  Result<uint32_t> attempt(Patience) override {
    DescriptorTable& descriptors = current_process().descriptors();
    if (TRY(descriptors.get(descriptor_))->ring()) return Errno::kBADF;
    TRY(descriptors.close(descriptor_));
    return 0u;
  }
  uint32_t descriptor_ = 0;
};

}  // namespace

Result<Request*> make_read() { return PlainTransfer<Direction::kRead>::make(); }
Result<Request*> make_write() { return PlainTransfer<Direction::kWrite>::make(); }
Result<Request*> make_read_pieces() { return PiecesTransfer<Direction::kRead>::make(); }
Result<Request*> make_write_pieces() { return PiecesTransfer<Direction::kWrite>::make(); }
Result<Request*> make_synchronize() { return Synchronize::make(); }
Result<Request*> make_poll() { return Poll::make(); }
Result<Request*> make_close() { return Close::make(); }

}  // namespace faultline
