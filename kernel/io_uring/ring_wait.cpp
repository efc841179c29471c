// Waiting for completions, and going on meanwhile with requests that can: see ring.h.
#include "kernel/io_uring/request.h"
#include "kernel/io_uring/ring_workers.h"

namespace faultline {

// Wakes its thread, and remembers it: a wake-up while the thread sleeps for something else must not be lost.
class Ring::Sleeper : public WaitEntry {
 public:
  explicit Sleeper(WaitQueue& queue) : WaitEntry(&notify), queue_(queue), thread_(*current_thread()) { queue_.add(*this); }
  ~Sleeper() { queue_.remove(*this); }
  bool was_woken() const { return was_woken_.load(memory_order_seq_cst); }
  void forget_wakes() { was_woken_.store(false, memory_order_seq_cst); }

 private:
  static Verdict notify(WaitEntry& self, uint32_t) {
    auto& sleeper = static_cast<Sleeper&>(self);
    sleeper.was_woken_.store(true, memory_order_seq_cst);
    wake(sleeper.thread_);
    return Verdict::kKeep;
  }
  WaitQueue& queue_;
  Thread& thread_;
  Atomic<bool> was_woken_{false};
};

// As long as it lives, requests of this user that can go on are left to the caller.
class Ring::Helping {
 public:
  Helping(Ring& ring, RingUser& user) : ring_(ring) {
    InterruptLockGuard guard(ring_.ready_lock_);
    helps_ = ring_.helpers_ == 0 || ring_.helped_ == &user;
    if (!helps_) return;
    ring_.helped_ = &user;
    ring_.helpers_++;
  }
  ~Helping() {
    if (!helps_) return;
    {
      InterruptLockGuard guard(ring_.ready_lock_);
      ring_.helpers_--;
    }
    run_ready();
  }
  void run_ready() {
    if (!helps_) return;
    while (Request* request = ring_.take_ready()) {
      request->begin_running();
      request->run(Request::Patience::kNone);
    }
  }

 private:
  Ring& ring_;
  bool helps_;
};

Request* Ring::take_ready() {
  InterruptLockGuard guard(ready_lock_);
  return ready_.pop_front();
}

void Ring::ready(Request& request) {
  bool has_helper;
  {
    InterruptLockGuard guard(ready_lock_);
    has_helper = helpers_ != 0 && helped_ == &request.user();
    if (has_helper) ready_.push_back(request);
  }
  if (has_helper)
    sleepers_.wake_all();
  else
    RingWorkers::give(request, Request::Patience::kNone);
}

Result<void> Ring::wait(RingUser& user, uint32_t wanted, Deadline deadline) {
  flush_overflow();
  if (wanted > completion_entries_) wanted = completion_entries_;
  if (completions() >= wanted) return {};
  const uint32_t timeouts = timeouts_.load(memory_order_relaxed);
  auto is_over = [&] { return completions() >= wanted || timeouts_.load(memory_order_relaxed) != timeouts; };
  Result<void> slept;
  {
    Sleeper sleeper(sleepers_);
    Helping helping(*this, user);
    for (;;) {
      sleeper.forget_wakes();
      helping.run_ready();
      if (is_over() || !slept.ok()) break;
      while (slept.ok() && !sleeper.was_woken()) slept = block(SleepKind::kInterruptible, deadline);
    }
  }
  if (slept.ok() || completions() != 0) return {};
  return slept.error() == Errno::kTIMEDOUT ? Errno::kTIME : slept.error();
}

}  // namespace faultline
