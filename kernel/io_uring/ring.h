// A ring of io_uring(7): the two queues that a program shares with the kernel, the requests that wait, and who waits for their completions.
//
// The kernel has positions of its own in both queues; of what the program writes it uses only the tail of the submissions and the head of the
// completions, read once and taken modulo the size. Completions that find no room are kept in order, as the requests they belonged to, until the next
// call that waits (IORING_FEAT_NODROP).
//
// Requests that can go on (request.h) are run by the threads that wait here, if they are of the process whose requests these are: `helpers_`. If there
// are none, or the request is another process', a worker does it. Who stops helping looks into the queue once more.
#pragma once

#include "fs/file.h"
#include "kernel/files/watch_account.h"
#include "kernel/io_uring/ring_memory.h"
#include "lib/abi/io_uring.h"
#include "lib/mutex.h"

namespace faultline {

class Request;
class RingUser;
struct RingRequestsTag;
struct RingReadyTag;

class Ring final : public RefCounted<Ring> {
 public:
  static constexpr uint32_t kMostSubmissions = 32768, kMostCompletions = 2 * kMostSubmissions;

  // Both are powers of two. kNOMEM, also if it is more than this user may have.
  static Result<Ref<File>> create_file(uint32_t submissions, uint32_t completions, const Credentials& who);
  static void destroy(Ring* ring);
  void describe(abi::RingParameters& parameters) const;
  Result<Ref<Object>> map_object_at(PageIndex& first);  // kINVAL

  // Does what up to `count` submissions ask for, of a process that the caller is a thread of; returns how many were taken. kAGAIN: there was no memory
  // for the first.
  Result<uint32_t> submit(RingUser& user, uint32_t count);
  // Until there are `wanted` completions, or a time-out of the program's ended. kINTR, kTIME; only if there are none.
  Result<void> wait(RingUser& user, uint32_t wanted, Deadline deadline);
  uint32_t poll(PollTable* table);
  // IORING_REGISTER_EVENTFD: is written to at each completion. kBUSY; kNXIO.
  Result<void> set_event_file(Ref<File> file);
  Result<void> clear_event_file();
  void file_closed();  // cancels everything

  // --- For requests.
  bool is_closed() const { return is_closed_.load(memory_order_seq_cst); }
  void add(Request& request);
  void remove(Request& request);
  // Of what waits, the first with this name but `asker`. kNOENT; kALREADY: too late.
  Result<void> cancel(uint64_t user_data, const Request& asker);
  // The request is to go on. Any context.
  void ready(Request& request);
  // Its completion; the request is the ring's, and gone.
  void complete(Request& request);
  uint32_t posted() const { return posted_.load(memory_order_relaxed); }  // completions so far, but those of time-outs
  WaitQueue& completion_queue() { return pollers_; }

 private:
  class Sleeper;
  class Helping;
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  Ring(uint32_t submissions, uint32_t completions, Ref<WatchAccount> account)
      : submission_entries_(submissions), completion_entries_(completions), account_(std::move(account)) {}
  ~Ring() = default;

  // Where things are in queues_.
  enum Word : uint32_t {
    kSubmissionHead = 0,
    kSubmissionTail = 4,
    kSubmissionMask = 8,
    kSubmissionEntries = 12,
    kSubmissionFlags = 16,
    kDropped = 20,
    kCompletionHead = 24,
    kCompletionTail = 28,
    kCompletionMask = 32,
    kCompletionEntries = 36,
    kOverflow = 40,
    kCompletionFlags = 44,
    kCompletions = 64,
  };
  uint32_t array_offset() const { return kCompletions + completion_entries_ * static_cast<uint32_t>(sizeof(abi::RingCompletion)); }
  Result<void> initialize();

  enum class Next : uint8_t { kTaken, kNone };
  Next next_submission_locked(abi::RingSubmission& submission) REQUIRES(submission_lock_);
  // What is linked together, from the next submission on, at most `count`; null: there is none.
  struct Gathered {
    Request* first = nullptr;
    uint32_t count = 0;
    bool was_refused = false;
  };
  Result<Gathered> gather(RingUser& user, uint32_t count);
  Result<Request*> make_request(RingUser& user, const abi::RingSubmission& submission);
  void forget(Request& request);  // its completion is posted, or nobody will see it

  uint32_t completions() const;  // that the program has not taken
  bool post_locked(const abi::RingCompletion& completion) REQUIRES(lock_);
  void flush_overflow();
  Request* take_ready();
  void tell();

  const uint32_t submission_entries_, completion_entries_;
  const Ref<WatchAccount> account_;  // of who made it: for its pages and its requests
  uint32_t accounted_ = 0;           // watches that its pages count as
  bool has_begun_ = false;
  RingMemory queues_, entries_;

  Mutex<LockRank::kRingSubmission> submission_lock_;
  uint32_t submission_head_ GUARDED_BY(submission_lock_) = 0, dropped_ GUARDED_BY(submission_lock_) = 0;

  SpinLock<LockRank::kRing> lock_;
  List<Request, RingRequestsTag> requests_ GUARDED_BY(lock_);  // that have waited
  List<Request, RingReadyTag> overflow_ GUARDED_BY(lock_);     // completed, without room in the queue
  Ref<File> event_file_ GUARDED_BY(lock_);
  Atomic<uint32_t> completion_tail_{0};  // written under lock_
  Atomic<uint32_t> posted_{0}, timeouts_{0};
  Atomic<bool> has_overflow_{false}, is_closed_{false}, has_event_file_{false};

  InterruptSpinLock<LockRank::kRingReady> ready_lock_;
  List<Request, RingReadyTag> ready_ GUARDED_BY(ready_lock_);
  RingUser* helped_ GUARDED_BY(ready_lock_) = nullptr;
  uint32_t helpers_ GUARDED_BY(ready_lock_) = 0;
  WaitQueue sleepers_, pollers_;  // in wait(); for those who watch this ring
};

}  // namespace faultline
