// ACCEPT, CONNECT, SEND, RECV.
#include "kernel/io_uring/operations.h"
#include "kernel/net/call_support.h"

namespace faultline {

namespace {

constexpr uint32_t kInput = kPollIn | kPollReadNormal | kPollReadHangUp | kPollError | kPollHangUp,
                   kOutput = kPollOut | kPollWriteNormal | kPollError | kPollHangUp;

// MSG_WAITALL goes on where it was, when there is more.
template <typename T>
class Message : public RequestOf<T> {
 protected:
  Result<void> prepare_message(const abi::RingSubmission& submission, uint32_t interest) {
    if (!this->file().socket()) return Errno::kNOTSOCK;
    if (submission.offset != 0 || submission.file_index != 0) return Errno::kINVAL;
    buffer_ = user_buffer(VirtAddr(static_cast<uint32_t>(submission.address)), submission.length);
    wanted_ = buffer_.remaining();
    wants_all_ = (submission.operation_flags & (abi::kMessageWaitAll | abi::kMessagePeek | abi::kMessageDontWait)) == abi::kMessageWaitAll;
    flags_ = submission.operation_flags | abi::kMessageDontWait | abi::kMessageNoSignal;
    if (submission.operation_flags & abi::kMessageDontWait) this->set_does_not_wait();
    this->set_interest(interest);
    return {};
  }
  Socket& socket() const { return *this->file().socket(); }
  bool wants_all() const { return wants_all_ && socket().type() == abi::kSocketStream; }
  virtual Result<size_t> move() = 0;
  // An attempt that fails has moved nothing, though a socket without room may have taken the bytes: the next one begins where this one did.
  Result<size_t> try_to_move() {
    const IoBuffer before = buffer_;
    Result<size_t> moved = move();
    if (!moved.ok()) buffer_ = before;
    return moved;
  }
  // Who wants all asks until the socket itself says that there is no more: its end, behind the last bytes, may have been told already. What came
  // before an error counts.
  Result<uint32_t> attempt(Request::Patience) override {
    Result<size_t> moved = try_to_move();
    if (!wants_all()) return static_cast<uint32_t>(TRY(std::move(moved)));
    while (moved.ok() && moved.value() != 0 && buffer_.remaining() != 0) moved = try_to_move();
    if (!moved.ok() && (buffer_.done() == 0 || moved.error() == Errno::kAGAIN)) return moved.error();
    return static_cast<uint32_t>(buffer_.done());
  }
  uint32_t done() const override { return static_cast<uint32_t>(buffer_.done()); }
  bool fell_short(uint32_t result) const override { return wants_all() && result != wanted_; }

  IoBuffer buffer_ = IoBuffer::kernel(nullptr, 0);
  uint32_t flags_ = 0;
  size_t wanted_ = 0;
  bool wants_all_ = false;
};

class Send final : public Message<Send> {
  Result<void> prepare(const abi::RingSubmission& submission) override { return prepare_message(submission, kOutput); }
  Result<size_t> move() override {
    SendRequest request{buffer_, flags_};
    return socket().send(request);
  }
};

class Receive final : public Message<Receive> {
  Result<void> prepare(const abi::RingSubmission& submission) override { return prepare_message(submission, kInput); }
  Result<size_t> move() override {
    ReceiveRequest request{buffer_, flags_};
    return socket().receive(request);
  }
};

class Accept final : public RequestOf<Accept> {
  Result<void> prepare(const abi::RingSubmission& submission) override {
    if (!file().socket()) return Errno::kNOTSOCK;
    if (submission.length != 0 || submission.file_index != 0) return Errno::kINVAL;
    TRY(check_accept_flags(submission.operation_flags));
    address_ = VirtAddr(static_cast<uint32_t>(submission.address));
    address_bytes_ = UserPtr<int32_t>(static_cast<uint32_t>(submission.offset));
    flags_ = submission.operation_flags;
    set_interest(kInput);
    return {};
  }
  Result<uint32_t> attempt(Patience) override { return accept_connection(*file().socket(), address_, address_bytes_, flags_, false); }

  VirtAddr address_;
  UserPtr<int32_t> address_bytes_;
  uint32_t flags_ = 0;
};

class Connect final : public RequestOf<Connect> {
  Result<void> prepare(const abi::RingSubmission& submission) override {
    if (!file().socket()) return Errno::kNOTSOCK;
    if (submission.length != 0 || submission.operation_flags != 0 || submission.file_index != 0) return Errno::kINVAL;
    set_interest(kOutput);
    return read_address(address_, VirtAddr(static_cast<uint32_t>(submission.address)), static_cast<int32_t>(submission.offset));
  }
  // Asked again, a socket that is connecting says how that ended. One without room for us does not say when there is: that is a result.
  Result<uint32_t> attempt(Patience) override {
    Result<void> connected = file().socket()->connect(address_, false);
    if (connected.ok()) return 0u;
    const Errno error = connected.error();
    if (error == Errno::kAGAIN) set_does_not_wait();
    const bool is_under_way = error == Errno::kINPROGRESS || (has_begun_ && error == Errno::kALREADY);
    has_begun_ = is_under_way;
    return is_under_way ? Errno::kAGAIN : error;
  }

  SocketAddress address_;
  bool has_begun_ = false;
};

}  // namespace

Result<Request*> make_accept() { return Accept::make(); }
Result<Request*> make_connect() { return Connect::make(); }
Result<Request*> make_send() { return Send::make(); }
Result<Request*> make_receive() { return Receive::make(); }

}  // namespace faultline
