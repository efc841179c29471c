// The model-based fuzzer of mm: random operations on the kernel's memory and on the model, on three CPUs, with everything compared.
#pragma once

#include <cstdio>
#include <random>

#include "host_tests/support/emulated_machine.h"
#include "mm_model.h"

namespace faultline::host {

struct FuzzOptions {
  uint32_t seed = 1;
  uint32_t operations = 2000;
  uint32_t frames = 420;
  bool inject_failures = true;
  bool has_swap = true;
  bool trace = false;        // prints every operation
  uint32_t full_check = 64;  // operations between comparisons of every byte
};

class Fuzzer {
 public:
  explicit Fuzzer(const FuzzOptions& options);
  // Runs all operations and the final checks. A difference ends the process with a message that names seed and step.
  void run();
  uint32_t steps_done() const { return step_; }

 private:
  struct Operation {
    const char* name;
    uint32_t weight;
    void (Fuzzer::*run)();
  };
  static const Operation kOperations[];

  // With tracing, what an operation is about to do.
  template <typename... Arguments>
  void tell(const char* format, Arguments... arguments) {
    if (options_.trace) fprintf(stderr, format, arguments...);
  }
  size_t index_of(const ModelProcess* process) const;
  size_t index_of(const ModelObject* object) const;
  [[noreturn]] void fail(const std::string& what);
  void expect(bool condition, const char* what) {
    if (!condition) fail(what);
  }
  void step();
  void check_machine();
  void check_everything();
  void check_disks();
  void finish();
  void with_failures();
  void without_failures();

  uint32_t random(uint32_t below) { return below == 0 ? 0 : generator_() % below; }
  bool chance(uint32_t percent) { return random(100) < percent; }
  ModelProcess* any_process() { return processes_.empty() ? nullptr : processes_[random(static_cast<uint32_t>(processes_.size()))].get(); }
  uint32_t any_cpu() { return random(3); }
  // The process of a CPU, switched to it; null if that CPU idles.
  ModelProcess* process_on(uint32_t cpu);
  // Page-aligned, mostly near the borders of page tables, so that sharing is cut in many places.
  VirtAddr any_page(const ModelProcess* process);
  Protection any_protection();
  std::shared_ptr<ModelObject> any_object();

  void start_process();
  void map();
  void map_anywhere();
  void unmap();
  void protect();
  void fork();
  void exit_process();
  void switch_cpu();
  void access();
  void access_stack();
  void access_foreign();
  void file_read();
  void file_write();
  void file_read_to_user();
  void file_write_from_user();
  void truncate();
  void write_back();
  void drop_clean();
  void discard();
  void new_object();
  void forget_object();
  void loan();
  void return_loan();
  void remap();
  void move_break();
  void drop_pages();
  void advise_fork();
  void lock_pages();
  void sync();
  void inspect();
  void swap_out();
  void swap_off_and_on();
  void start_swap();
  void happen_meanwhile(bool is_write);
  bool would_wait(ModelProcess& process, VirtAddr page, bool is_write);
  void check_locked_pages_stay(ModelProcess& process, VirtAddr start, uint32_t pages);

  void model_map(ModelProcess& process, VirtAddr start, uint32_t pages, const ModelPage& first);
  void adopt_holes(ModelProcess& process, VirtAddr start, uint32_t pages);
  void model_unmap(ModelProcess& process, VirtAddr start, uint32_t pages);
  bool may_fail(const Result<void>& result) const { return result.error() == Errno::kNOMEM; }
  void check_access(ModelProcess& process, VirtAddr address, bool is_write, uint32_t bytes);
  void check_outcome(FaultOutcome outcome, FaultOutcome expected, VirtAddr address);
  uint32_t source_failures() const;
  void remove_process(size_t index);

  struct Loan {
    PinnedFrame frame;
    std::vector<uint8_t> bytes;
  };

  const FuzzOptions options_;
  std::mt19937 generator_;
  std::vector<std::unique_ptr<ModelProcess>> processes_;
  std::vector<std::shared_ptr<ModelObject>> objects_;
  std::vector<Loan> loans_;
  ModelSwap swap_;
  std::optional<uint32_t> swap_area_;
  // Whether what an operation does holds nothing while the swap device works, so that anything may happen meanwhile.
  bool may_happen_in_writes_ = false, may_happen_in_reads_ = false;
  uint32_t step_ = 0;
  uint32_t failures_before_ = 0;
  uint32_t bytes_tag_ = 0;
  const char* operation_ = "start";
};

}  // namespace faultline::host
