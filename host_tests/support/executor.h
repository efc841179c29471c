// Who runs the code under test when that is more than the one thread of most tests: the explorer (explorer.h), which decides at every point who
// goes on, or real threads (real_threads.h). One of them at a time takes over what environment.cpp and emulated_machine.cpp do otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "lib/scheduling.h"
#include "lib/sleeping_locks.h"
#include "mm/space.h"

namespace faultline::host {

class Executor {
 public:
  virtual Thread* current_thread() = 0;
  virtual SleepingLocks* locks() = 0;
  virtual Result<void> block(SleepKind kind, Deadline deadline) = 0;
  virtual void wake(Thread& thread) = 0;
  // Runs `action` as each of `cpus`, from an interrupt there, and returns when all have done so; the caller's own as well if it is among them.
  virtual void call(CpuMask cpus, const std::function<void()>& action) = 0;

  // For the threads themselves. The running thread goes on in another space, or in none.
  virtual void enter(AddressSpace* space) = 0;
  // It waits for a device, however long that takes.
  virtual void transfer() = 0;
  virtual void add_thread(std::string name, std::function<void()> body) = 0;
  // Runs all threads to their end. The caller's thread is none of them.
  virtual void run() = 0;
  // Whether what all CPUs' TLBs hold may be looked at while threads run.
  virtual bool sees_all_cpus() const { return true; }

 protected:
  ~Executor() = default;
};

// Null: the one thread.
extern Executor* executor;

}  // namespace faultline::host
