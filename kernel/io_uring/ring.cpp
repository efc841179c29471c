// A ring's queues: what comes in is gathered, what is done goes out. See ring.h.
#include "kernel/io_uring/ring.h"

#include "kernel/io_uring/request.h"
#include "kernel/io_uring/ring_workers.h"

namespace faultline {

// ---------------------------------------------------------------- making and ending

Result<void> Ring::initialize() {
  const uint32_t queue_bytes = array_offset() + submission_entries_ * static_cast<uint32_t>(sizeof(uint32_t));
  const uint32_t entry_bytes = submission_entries_ * static_cast<uint32_t>(sizeof(abi::RingSubmission));
  const uint32_t watches = WatchAccount::watches_in(align_up(queue_bytes, kPageSize) + align_up(entry_bytes, kPageSize));
  if (!account_->take(watches).ok()) return Errno::kNOMEM;
  accounted_ = watches;
  TRY(queues_.create(queue_bytes));
  TRY(entries_.create(entry_bytes));
  queues_.word(kSubmissionMask).store(submission_entries_ - 1, memory_order_relaxed);
  queues_.word(kSubmissionEntries).store(submission_entries_, memory_order_relaxed);
  queues_.word(kCompletionMask).store(completion_entries_ - 1, memory_order_relaxed);
  queues_.word(kCompletionEntries).store(completion_entries_, memory_order_relaxed);
  TRY(RingWorkers::ring_begins());
  has_begun_ = true;
  return {};
}

// Nobody else knows it.
void Ring::destroy(Ring* ring) NO_THREAD_SAFETY_ANALYSIS {
  while (Request* request = ring->overflow_.pop_front()) ring->forget(*request);
  if (ring->accounted_ != 0) ring->account_->give_back(ring->accounted_);
  if (ring->has_begun_) RingWorkers::ring_ends();
  slab_delete(ring);
}

void Ring::file_closed() {
  is_closed_.store(true, memory_order_seq_cst);
  List<Request, RingReadyTag> taken;
  {
    LockGuard guard(lock_);
    for (Request& request : requests_)
      if (request.try_take()) taken.push_back(request);
  }
  while (Request* request = taken.pop_front()) request->run(Request::Patience::kNone);
}

void Ring::describe(abi::RingParameters& parameters) const {
  parameters.submission_entries = submission_entries_;
  parameters.completion_entries = completion_entries_;
  parameters.submission = {.head = kSubmissionHead,
                           .tail = kSubmissionTail,
                           .mask = kSubmissionMask,
                           .entries = kSubmissionEntries,
                           .flags = kSubmissionFlags,
                           .dropped = kDropped,
                           .array = array_offset(),
                           .reserved = {}};
  parameters.completion = {.head = kCompletionHead,
                           .tail = kCompletionTail,
                           .mask = kCompletionMask,
                           .entries = kCompletionEntries,
                           .overflow = kOverflow,
                           .completions = kCompletions,
                           .flags = kCompletionFlags,
                           .reserved = {}};
}

Result<Ref<Object>> Ring::map_object_at(PageIndex& first) {
  const uint64_t offset = first.byte();
  first = PageIndex(0);
  if (offset == abi::kRingMapSubmissions || offset == abi::kRingMapCompletions) return queues_.object();
  if (offset == abi::kRingMapEntries) return entries_.object();
  return Errno::kINVAL;
}

// ---------------------------------------------------------------- submissions

// Copied a word at a time, each once: the program may be writing there.
Ring::Next Ring::next_submission_locked(abi::RingSubmission& submission) {
  if (queues_.word(kSubmissionTail).load(memory_order_acquire) == submission_head_) return Next::kNone;
  const uint32_t place = submission_head_ & (submission_entries_ - 1);
  const uint32_t index = queues_.word(array_offset() + place * 4).load(memory_order_relaxed);
  if (index >= submission_entries_) {
    queues_.word(kDropped).store(++dropped_, memory_order_relaxed);
    queues_.word(kSubmissionHead).store(++submission_head_, memory_order_release);
    return Next::kNone;
  }
  uint32_t words[sizeof submission / sizeof(uint32_t)];
  const uint32_t from = index * static_cast<uint32_t>(sizeof submission);
  for (uint32_t i = 0; i < std::size(words); i++) words[i] = entries_.word(from + i * 4).load(memory_order_relaxed);
  memcpy(&submission, words, sizeof submission);
  return Next::kTaken;
}

Result<Request*> Ring::make_request(RingUser& user, const abi::RingSubmission& submission) {
  if (!account_->take().ok()) return Errno::kAGAIN;
  Result<Request*> made = Request::create(*this, user, submission);
  if (!made.ok()) account_->give_back();
  return made;
}

Result<Ring::Gathered> Ring::gather(RingUser& user, uint32_t count) {
  LockGuard guard(submission_lock_);
  Gathered gathered;
  abi::RingSubmission submission;
  for (Request* last = nullptr; gathered.count < count && next_submission_locked(submission) == Next::kTaken;) {
    Result<Request*> made = make_request(user, submission);
    if (!made.ok()) {
      if (gathered.first) break;
      return made.error();
    }
    Request& request = *made.value();
    queues_.word(kSubmissionHead).store(++submission_head_, memory_order_release);
    gathered.count++;
    gathered.was_refused |= request.is_refused();
    if (last)
      last->set_next(request);
    else
      gathered.first = &request;
    last = &request;
    if (!(submission.flags & (abi::kRingLink | abi::kRingHardLink))) break;
  }
  if (gathered.was_refused)
    for (Request* request = gathered.first; request; request = request->next()) request->set_broken();
  return gathered;
}

// As Linux, it stops behind what is refused.
Result<uint32_t> Ring::submit(RingUser& user, uint32_t count) {
  if (count > submission_entries_) count = submission_entries_;
  uint32_t taken = 0;
  while (taken < count) {
    Result<Gathered> gathered = gather(user, count - taken);
    if (!gathered.ok()) return taken != 0 ? Result<uint32_t>(taken) : gathered.error();
    if (!gathered.value().first) break;
    taken += gathered.value().count;
    gathered.value().first->run(Request::Patience::kNone);
    if (gathered.value().was_refused) break;
  }
  return taken;
}

// ---------------------------------------------------------------- completions

uint32_t Ring::completions() const {
  return completion_tail_.load(memory_order_acquire) - queues_.word(kCompletionHead).load(memory_order_acquire);
}

// False: there is no room, or the program wrote nonsense.
bool Ring::post_locked(const abi::RingCompletion& completion) {
  if (completions() >= completion_entries_) return false;
  const uint32_t tail = completion_tail_.load(memory_order_relaxed), place = tail & (completion_entries_ - 1);
  queues_.at<abi::RingCompletion>(kCompletions + place * static_cast<uint32_t>(sizeof completion)) = completion;
  completion_tail_.store(tail + 1, memory_order_release);
  queues_.word(kCompletionTail).store(tail + 1, memory_order_release);
  return true;
}

void Ring::forget(Request& request) {
  request.destroy();
  account_->give_back();
}

void Ring::complete(Request& request) {
  bool has_room;
  {
    LockGuard guard(lock_);
    if (request.is_timeout())
      timeouts_.fetch_add(1, memory_order_relaxed);
    else
      posted_.fetch_add(1, memory_order_relaxed);
    has_room = overflow_.is_empty() && post_locked(request.completion());
    if (!has_room) {
      overflow_.push_back(request);
      has_overflow_.store(true, memory_order_relaxed);
      queues_.word(kSubmissionFlags).store(abi::kRingOverflown, memory_order_relaxed);
    }
  }
  if (has_room) forget(request);
  tell();
}

void Ring::flush_overflow() {
  if (!has_overflow_.load(memory_order_relaxed)) return;
  List<Request, RingReadyTag> posted;
  {
    LockGuard guard(lock_);
    while (!overflow_.is_empty() && post_locked(overflow_.front()->completion())) posted.push_back(*overflow_.pop_front());
    if (overflow_.is_empty()) {
      has_overflow_.store(false, memory_order_relaxed);
      queues_.word(kSubmissionFlags).store(0, memory_order_relaxed);
    }
  }
  while (Request* request = posted.pop_front()) forget(*request);
}

void Ring::tell() {
  sleepers_.wake_all();
  pollers_.wake_all(kPollIn | kPollReadNormal);
  if (!has_event_file_.load(memory_order_relaxed)) [[likely]]
    return;
  if (queues_.word(kCompletionFlags).load(memory_order_relaxed) & abi::kRingEventsDisabled) return;
  Ref<File> file;
  {
    LockGuard guard(lock_);
    file = event_file_;
  }
  uint64_t one = 1;
  IoBuffer buffer = IoBuffer::kernel(&one, sizeof one);
  buffer.set_impatient(true);
  if (file) ignore_result(file->write(buffer));  // a counter that is full is a sign as well
}

Result<void> Ring::set_event_file(Ref<File> file) {
  LockGuard guard(lock_);
  if (event_file_) return Errno::kBUSY;
  event_file_ = std::move(file);
  has_event_file_.store(true, memory_order_relaxed);
  return {};
}

Result<void> Ring::clear_event_file() {
  Ref<File> file;
  LockGuard guard(lock_);
  if (!event_file_) return Errno::kNXIO;
  std::swap(file, event_file_);
  has_event_file_.store(false, memory_order_relaxed);
  return {};
}

uint32_t Ring::poll(PollTable* table) {
  if (table) table->register_queue(pollers_);
  const uint32_t waiting =
      queues_.word(kSubmissionTail).load(memory_order_relaxed) - queues_.word(kSubmissionHead).load(memory_order_relaxed);
  const bool has_completions = completions() != 0 || has_overflow_.load(memory_order_relaxed);
  return (has_completions ? kPollIn | kPollReadNormal : 0) | (waiting < submission_entries_ ? kPollOut | kPollWriteNormal : 0);
}

// ---------------------------------------------------------------- requests that wait

void Ring::add(Request& request) {
  LockGuard guard(lock_);
  requests_.push_back(request);
}

void Ring::remove(Request& request) {
  LockGuard guard(lock_);
  requests_.remove(request);
}

Result<void> Ring::cancel(uint64_t user_data, const Request& asker) {
  Request* found = nullptr;
  auto how = Request::Cancelling::kTooLate;
  {
    LockGuard guard(lock_);
    for (Request& request : requests_) {
      if (request.user_data() != user_data || &request == &asker) continue;
      found = &request;
      how = request.cancel();
      break;
    }
  }
  if (!found) return Errno::kNOENT;
  if (how == Request::Cancelling::kTooLate) return Errno::kALREADY;
  if (how == Request::Cancelling::kTaken) found->run(Request::Patience::kNone);
  return {};
}

}  // namespace faultline
