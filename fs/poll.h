// Readiness: how poll, select and epoll ask a file, over the one wait-queue mechanism. Masks as poll(2).
#pragma once

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

}  // namespace faultline
