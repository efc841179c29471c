// A request of a ring: what a program submitted, until its completion is in the ring.
//
// Who runs it. A request has one runner at a time, who alone may touch it (but for the word `state_`): the thread that submitted it, a thread of its
// process that waits for completions, a worker (ring_workers.h), or who cancels it. The runner tries it; what cannot be done at once waits:
//
//   running --park()--> parked --news()--> queued --(taken from the queue)--> running --> completed, freed
//                         |                                                     ^
//                         +--try_take(): who cancels becomes the runner --------+
//
// news() comes from the wait queues of its file or from a timer, in any context; it puts the request on a queue, so that a thread may go on with it.
// What comes while it runs sets kNews in the same word, and park() fails: nothing is lost. After park() has succeeded the runner may not touch the
// request any more, for it may be completed and freed. A request that only the disk can answer has nothing to park on: it goes to a worker, who sleeps.
//
// Who may end when. A request refers to its file, its ring (not the ring's file) and its process' RingUser. From its first wait on it is in the lists
// of the ring and of the user, through which it is cancelled: by user_data, by the end of the ring's file, by the end of the process or of its program,
// which waits until the list is empty. So it runs in the process' memory only as long as that is there. Callbacks are over when finish() has taken it
// out of the wait queues, so whoever calls news() may use the ring until then. References are dropped last, with nothing held: that of its file may be
// the last to a ring, and even to its own.
#pragma once

#include "fs/file.h"
#include "kernel/io_uring/ring.h"
#include "kernel/io_uring/ring_user.h"
#include "lib/abi/io_uring.h"

namespace faultline {

class Request : public ListNode<RingRequestsTag>, public ListNode<UserRequestsTag>, public ListNode<RingReadyTag> {
 public:
  // Whether the runner may sleep until a disk answers.
  enum class Patience : uint8_t { kNone, kDisk };

  // What a submission asks for; the caller is of the user's process. What is wrong with it becomes its result. kAGAIN: there is no memory, or no more
  // is due to this user.
  static Result<Request*> create(Ring& ring, RingUser& user, const abi::RingSubmission& submission);
  // By its runner: does it, and what is linked to it, as far as can be.
  void run(Patience patience);

  // The next to do when this one has been successful (otherwise it is cancelled).
  void set_next(Request& next) { next_ = &next; }
  Request* next() const { return next_; }
  bool is_refused() const { return refusal_ != Errno{}; }
  // One that is linked was refused: none is done.
  void set_broken() { is_broken_ = true; }

  // For who cancels it, under a lock of a list that it is in: true if the caller is its runner now.
  bool try_take();
  enum class Cancelling : uint8_t { kTaken, kWillEnd, kTooLate };
  Cancelling cancel();
  // By who takes it from a queue.
  void begin_running() { state_.store(kRunning, memory_order_seq_cst); }

  uint64_t user_data() const { return completion_.user_data; }
  Ring& ring() const { return *ring_; }
  RingUser& user() const { return *user_; }
  // For the ring: kept until there is room in the queue.
  const abi::RingCompletion& completion() const { return completion_; }
  virtual bool is_timeout() const { return false; }
  virtual void destroy() = 0;

 protected:
  Request() = default;
  virtual ~Request() = default;
  // Reads the submission, and what it points at: the program may use that memory again as soon as it is submitted.
  virtual Result<void> prepare(const abi::RingSubmission& submission) { return (void)submission, Result<void>(); }
  // kAGAIN: nothing has happened yet, or not all; it is tried again when there is news.
  virtual Result<uint32_t> attempt(Patience patience) = 0;
  // What starts, and ends, the news that it waits for.
  enum class Armed : uint8_t { kNoNews, kReady, kWaits };  // kNoNews: there is none to wait for, but a disk
  virtual Armed arm();
  virtual void disarm();
  // A result that breaks a link though it is none of an error.
  virtual bool fell_short(uint32_t result) const { return (void)result, false; }
  // What has been moved so far: the result, if it is cancelled then.
  virtual uint32_t done() const { return 0; }
  // An error that does not break a link.
  virtual bool succeeds_by(Errno error) const { return (void)error, false; }

  File& file() const { return *file_; }
  void set_does_not_wait() { waits_ = false; }
  void set_interest(uint32_t events) { interest_ = events; }
  void listen_to(WaitQueue& queue);
  void news();  // any context

 private:
  class Registration;
  static constexpr uint32_t kRunning = 0, kParked = 1, kQueued = 2, kNews = 4;

  Result<void> decode(const abi::RingSubmission& submission);
  bool is_cancelled() const {
    return is_cancelled_.load(memory_order_seq_cst) || is_broken_ || is_refused() || ring_->is_closed() || user_->is_ending();
  }
  Request* proceed(Patience patience);
  bool wait();
  bool park();
  Result<uint32_t> result_of_cancelling() const;
  Request* finish(Result<uint32_t> result, bool was_cancelled);
  void enlist();

  struct Hook : WaitEntry {
    Hook() : WaitEntry(&notify) {}
    static Verdict notify(WaitEntry& self, uint32_t events);
    Request* request = nullptr;
    WaitQueue* queue = nullptr;
  };

  Atomic<uint32_t> state_{kRunning};
  Atomic<bool> is_cancelled_{false};
  bool waits_ = true, is_armed_ = false, is_enlisted_ = false, is_broken_ = false, breaks_link_ = true;
  uint32_t interest_ = 0;  // events that are news; constant while it waits
  Errno refusal_{};        // why it is not done at all
  abi::RingCompletion completion_{};
  Request* next_ = nullptr;
  Ref<Ring> ring_;
  Ref<RingUser> user_;
  Ref<File> file_;
  Hook hooks_[PollTable::kMaxQueues];
};

// How the requests of one operation are made. null: it is not supported.
enum class RingDescriptor : uint8_t { kNone, kNumber, kOfFile };  // kNumber: what it names is not looked at before the attempt
struct RingOperationKind {
  Result<Request*> (*make)();
  RingDescriptor descriptor;
};
const RingOperationKind* ring_operation(uint32_t number);

// What each kind of request derives from.
template <typename T>
class RequestOf : public Request {
 public:
  static Result<Request*> make() { return TRY(slab_new<T>()); }
  void destroy() override { slab_delete(static_cast<T*>(this)); }
};

}  // namespace faultline
