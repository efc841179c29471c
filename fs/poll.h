// Readiness: how poll, select and epoll ask a file, over the one wait-queue mechanism. Masks as poll(2).
#pragma once

#include "lib/atomic.h"
#include "lib/wait_queue.h"

namespace faultline {

inline constexpr uint32_t kPollIn = 0x1, kPollPriority = 0x2, kPollOut = 0x4, kPollError = 0x8, kPollHangUp = 0x10, kPollInvalid = 0x20,
                          kPollReadNormal = 0x40, kPollWriteNormal = 0x100, kPollWriteBand = 0x200, kPollReadHangUp = 0x2000;

// Passed to File::poll by those who want to be called when the answer may change. The file hands its wait queues to register_queue, which adds an
// entry; a null PollTable means "just tell me now". The queues of a file are always the same and last as long as it. Who hands over none is always
// ready, so nobody can wait for it: epoll refuses such files. A wake-up's mask has each bit of poll's answer that may have become true.
class PollTable {
 public:
  static constexpr uint32_t kMaxQueues = 2;  // of one file
  virtual void register_queue(WaitQueue& queue) = 0;

 protected:
  ~PollTable() = default;
};

// The answer of poll in a word, for files that keep it up: who looks at a thousand of them takes no lock and makes no call. Whoever changes what a
// bit stands for changes the bit with it, under a lock that all take who do so, and before the wake-up that tells of it.
class Readiness {
 public:
  uint32_t events() const { return events_.load(memory_order_acquire); }
  // `events`, which change together, are true from now on, or false; others may change other bits meanwhile. A locked instruction, so that the wake-up
  // comes behind it on every processor; who finds them as they shall be has nobody to tell.
  void become(uint32_t events, bool are_true) {
    uint32_t before = events_.load(memory_order_relaxed) & events;
    if (are_true) {
      if (before == 0) events_.fetch_or(events, memory_order_seq_cst);
    } else if (before != 0) {
      events_.fetch_and(~events, memory_order_seq_cst);
    }
  }

 private:
  Atomic<uint32_t> events_{0};
};

}  // namespace faultline
