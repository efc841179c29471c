// Kernel threads that go on with requests when no thread of their process waits for completions, or when a disk has to be waited for. A worker works in
// the process' memory, with its identity and limits, while it has one of its requests (Thread::work_for).
//
// Two queues: what can be done without sleeping, and what needs a disk. At most kMostPatient workers sleep for disks, which therefore see so many
// requests at a time; one more is always there for the others. They begin when there is work and end with the last ring.
#pragma once

#include "kernel/io_uring/request.h"

namespace faultline {

class RingWorkers {
 public:
  static constexpr uint32_t kMostPatient = 16;

  static void initialize();  // boot
  // A ring begins or ends: as long as there is one, there is a worker. kNOMEM.
  static Result<void> ring_begins();
  static void ring_ends();
  // The request is somebody else's from now on. Any context.
  static void give(Request& request, Request::Patience patience);
};

}  // namespace faultline
