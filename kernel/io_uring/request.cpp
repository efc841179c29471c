// The life of a request: see request.h.
#include "kernel/io_uring/request.h"

#include "fs/descriptor_table.h"
#include "kernel/io_uring/ring_workers.h"

namespace faultline {

// ---------------------------------------------------------------- making

Result<void> Request::decode(const abi::RingSubmission& submission) {
  constexpr uint8_t kKnown = abi::kRingLink | abi::kRingHardLink | abi::kRingAsynchronous;  // the last is a hint
  const RingOperationKind& kind = *ring_operation(submission.operation);
  if ((submission.flags & abi::kRingFixedFile) && kind.descriptor != RingDescriptor::kNone) return Errno::kBADF;  // there are none
  if ((submission.flags & ~(kKnown | abi::kRingFixedFile)) || submission.personality != 0) return Errno::kINVAL;
  if (submission.priority != 0) return Errno::kINVAL;
  if (kind.descriptor == RingDescriptor::kOfFile) {
    FileHandle file = TRY(user_->process().descriptors().get(static_cast<uint32_t>(submission.descriptor)));
    if (file->is_path_only()) return Errno::kBADF;
    file_ = file.share();
  }
  return prepare(submission);
}

Result<Request*> Request::create(Ring& ring, RingUser& user, const abi::RingSubmission& submission) {
  const RingOperationKind* kind = ring_operation(submission.operation);
  Result<Request*> made = (kind ? kind : ring_operation(abi::kRingNop))->make();
  if (!made.ok()) return Errno::kAGAIN;
  Request& request = *made.value();
  request.ring_ = Ref<Ring>(ring);
  request.user_ = Ref<RingUser>(user);
  request.completion_.user_data = submission.user_data;
  request.breaks_link_ = !(submission.flags & abi::kRingHardLink);
  Result<void> decoded = kind ? request.decode(submission) : Errno::kINVAL;
  if (!decoded.ok()) request.refusal_ = decoded.error();
  return &request;
}

// ---------------------------------------------------------------- running

// Linked requests follow each other; one that waits takes those behind it along.
void Request::run(Patience patience) {
  for (Request* request = this; request;) request = request->proceed(patience);
}

// Null: it waits, or was the last.
Request* Request::proceed(Patience patience) {
  for (;;) {
    if (is_cancelled()) [[unlikely]]
      return finish(result_of_cancelling(), true);
    Result<uint32_t> result = attempt(patience);
    const bool is_to_wait = !result.ok() && result.error() == Errno::kAGAIN && waits_ && patience == Patience::kNone;
    if (!is_to_wait) return finish(result, false);
    if (wait()) return nullptr;
    state_.store(kRunning, memory_order_seq_cst);  // the news so far will be seen
  }
}

Result<uint32_t> Request::result_of_cancelling() const {
  if (is_refused()) return refusal_;
  return done() != 0 ? Result<uint32_t>(done()) : Errno::kCANCELED;
}

// False: it is to be tried again at once. True: it is not the caller's any more.
bool Request::wait() {
  if (is_armed_) return park();
  enlist();
  if (is_cancelled()) return false;  // who cancels perhaps did not find it in the lists
  switch (arm()) {
    case Armed::kReady: is_armed_ = true; return false;
    case Armed::kWaits: is_armed_ = true; return park();
    case Armed::kNoNews: break;
  }
  state_.store(kQueued, memory_order_seq_cst);
  RingWorkers::give(*this, Patience::kDisk);
  return true;
}

void Request::enlist() {
  if (std::exchange(is_enlisted_, true)) return;
  ring_->add(*this);
  user_->add(*this);
}

bool Request::park() {
  uint32_t running = kRunning;
  return state_.compare_exchange_strong(running, kParked, memory_order_seq_cst);
}

Request* Request::finish(Result<uint32_t> result, bool was_cancelled) {
  if (is_armed_) disarm();
  const bool failed = result.ok() ? fell_short(result.value()) : !succeeds_by(result.error());
  Request* next = next_;
  // Who cancels is perhaps of another process, and could not go on with what is linked.
  if (next && (was_cancelled || (failed && breaks_link_))) next->is_broken_ = true;
  if (!result.ok() && static_cast<uint32_t>(result.error()) >= static_cast<uint32_t>(Errno::kRESTARTSYS)) result = Errno::kINTR;
  completion_.result = result.ok() ? static_cast<int32_t>(result.value()) : -static_cast<int32_t>(result.error());
  Ref<Ring> ring = std::move(ring_);
  Ref<RingUser> user = std::move(user_);
  Ref<File> file = std::move(file_);
  if (is_enlisted_) {
    ring->remove(*this);
    user->remove(*this);
  }
  ring->complete(*this);
  return next;
}

// ---------------------------------------------------------------- news

WaitEntry::Verdict Request::Hook::notify(WaitEntry& self, uint32_t events) {
  Request& request = *static_cast<Hook&>(self).request;
  if (events & request.interest_) request.news();
  return Verdict::kKeep;
}

void Request::news() {
  uint32_t state = state_.load(memory_order_relaxed);
  for (;;) {
    if (state == kParked) {
      if (state_.compare_exchange_weak(state, kQueued, memory_order_seq_cst)) return ring_->ready(*this);
    } else if (state != kRunning || state_.compare_exchange_weak(state, kNews, memory_order_seq_cst)) {
      return;
    }
  }
}

bool Request::try_take() {
  uint32_t state = state_.load(memory_order_seq_cst);
  for (;;) {
    if (state == kParked) {
      if (state_.compare_exchange_weak(state, kRunning, memory_order_seq_cst)) return true;
    } else if (state != kRunning || state_.compare_exchange_weak(state, kNews, memory_order_seq_cst)) {
      return false;
    }
  }
}

Request::Cancelling Request::cancel() {
  is_cancelled_.store(true, memory_order_seq_cst);
  if (try_take()) return Cancelling::kTaken;
  return state_.load(memory_order_seq_cst) == kQueued ? Cancelling::kWillEnd : Cancelling::kTooLate;
}

class Request::Registration final : public PollTable {
 public:
  explicit Registration(Request& request) : request_(request) {}
  bool is_empty() const { return is_empty_; }
  void register_queue(WaitQueue& queue) override {
    is_empty_ = false;
    request_.listen_to(queue);
  }

 private:
  Request& request_;
  bool is_empty_ = true;
};

void Request::listen_to(WaitQueue& queue) {
  Hook* hook = hooks_;
  while (hook->queue) hook++;
  ASSERT(hook < hooks_ + PollTable::kMaxQueues);
  hook->request = this;
  hook->queue = &queue;
  queue.add(*hook);
}

Request::Armed Request::arm() {
  Registration registration(*this);
  const uint32_t events = file_->poll(&registration);
  if (registration.is_empty()) return Armed::kNoNews;
  return events & interest_ ? Armed::kReady : Armed::kWaits;
}

void Request::disarm() {
  for (Hook& hook : hooks_)
    if (WaitQueue* queue = std::exchange(hook.queue, nullptr)) queue->remove(hook);
}

}  // namespace faultline
