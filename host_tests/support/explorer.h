// The schedule explorer: threads of the code under test, as fibers of one host thread on the emulated machine's CPUs, of which at every schedule
// point (machine/schedule_point.h) a generator decides who goes on. A seed is a schedule: the same seed gives the same run.
//
// A thread keeps its CPU while it may not be pre-empted; else another may take it, and it goes on elsewhere. CPUs answer flush requests when
// their thread has interrupts on and the schedule says so; idle ones when it says so. Everything stands still: a deadlock, or a wake-up that was
// lost, and the run ends with a report of who holds and who waits for what, and with all stacks.
#pragma once

#include <memory>
#include <random>
#include <vector>

#include "executor.h"
#include "lib/sleeping_locks.h"
#include <machine/schedule_point.h>

namespace faultline::host {

struct ScheduleOptions {
  uint32_t seed = 1;
  // How threads take turns: at random, one switch in about `rate` points; or by priorities that change at `changes` points of the run (PCT: a bug that
  // needs so few ordered events is found with a probability that can be told; Burckhardt et al., ASPLOS 2010).
  enum class Policy : uint8_t { kRandomWalk, kPriorities } policy = Policy::kRandomWalk;
  uint32_t rate = 8;
  uint32_t changes = 3, expected_points = 20'000;
  uint32_t stays = 16;               // one in so many stops is followed by a move to another CPU, if the thread may be pre-empted
  uint64_t most_points = 4'000'000;  // more than that is a run that does not end
  bool trace = false;                // every switch, to standard error
};

// A seed stands for a policy and its parameters as well.
ScheduleOptions schedule_of(uint32_t seed);

class Explorer final : public Executor {
 public:
  explicit Explorer(const ScheduleOptions& options);
  ~Explorer();

  Thread* current_thread() override;
  SleepingLocks* locks() override;
  Result<void> block(SleepKind kind, Deadline deadline) override;
  void wake(Thread& thread) override;
  void call(CpuMask cpus, const std::function<void()>& action) override;
  void enter(AddressSpace* space) override;
  void transfer() override;
  void add_thread(std::string name, std::function<void()> body) override;
  void run() override;

  uint64_t points() const { return points_; }
  // Of all decisions: two runs are the same if these are.
  uint64_t fingerprint() const { return fingerprint_; }
  // To standard error: what each thread does, holds, and waits for, and its stack.
  void report(const char* what);

 private:
  struct Task;
  struct Call;
  enum class Force : uint8_t { kNo, kYes };

  static void at_point(machine::Point point);
  static void task_main();
  void arrive(machine::Point point);
  bool wants_switch(machine::Point point);
  void lower_priority(Task& task);
  // The running thread stops here until its turn comes again.
  void give_way();
  void switch_to(Task& next);
  void go_on(Task& self);
  bool may_run(const Task& task) const;
  bool is_due(const Task& task) const;
  Task* choose(bool others_only);
  Task* choose_among(const std::vector<Task*>& candidates);
  bool find_cpu(Task& task);
  bool is_preemptible(uint32_t cpu) const;
  void serve(uint32_t cpu);
  void serve_idle(Force force);
  void print(const Task& task) const;
  void print_stack_of(Task& task);
  uint32_t random(uint32_t below) { return generator_() % below; }
  [[noreturn]] void stop(const char* what);

  const ScheduleOptions options_;
  std::mt19937 generator_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::unique_ptr<Task> main_;
  Task* current_ = nullptr;
  Task* reporting_ = nullptr;  // who wants the stacks of the others
  std::vector<Task*> holder_;  // of each CPU
  std::vector<std::vector<Call*>> pending_;
  std::vector<uint64_t> change_points_;
  uint32_t lowest_priority_ = 1'000'000;
  bool reconsiders_ = false;  // something has happened since priorities were compared
  uint64_t points_ = 0, fingerprint_ = 0;
  bool is_deaf_ = true;  // points are the explorer's own
};

}  // namespace faultline::host
