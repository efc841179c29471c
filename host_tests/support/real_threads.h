// Real threads over the code under test, each a CPU of the emulated machine, for ThreadSanitizer: it sees what is shared without a lock or an
// atomic access, whatever the schedule was. Flush requests are answered at schedule points, as by an interrupt.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "executor.h"
#include <machine/schedule_point.h>

namespace faultline::host {

class RealThreads final : public Executor {
 public:
  struct Call;
  struct Cpu;
  RealThreads();
  ~RealThreads();

  Thread* current_thread() override;
  SleepingLocks* locks() override;
  Result<void> block(SleepKind kind, Deadline deadline) override;
  void wake(Thread& thread) override;
  void call(CpuMask cpus, const std::function<void()>& action) override;
  void enter(AddressSpace* space) override;
  void transfer() override;
  // At most as many as the machine has CPUs.
  void add_thread(std::string name, std::function<void()> body) override;
  void run() override;
  bool sees_all_cpus() const override { return false; }

 private:
  static void at_point(machine::Point point);
  void serve(Cpu& cpu);
  void run_cpu(Cpu& cpu);

  std::vector<std::unique_ptr<Cpu>> cpus_;
  std::atomic<uint32_t> running_{0};
};

}  // namespace faultline::host
