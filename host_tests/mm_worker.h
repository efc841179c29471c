// One thread of the workload (mm_workload.h): what it does, and what it checks as it does so.
#pragma once

#include "mm_workload.h"

namespace faultline::host {

// Where things are in every space. Private memory lies on both sides of a page table's border, and each thread has a place of its own beside it.
inline constexpr VirtAddr kAnonymousPlace(0x10400000 - kWorkPages / 2 * kPageSize), kOwnPlace(0x10420000), kSharedFilePlace(0x10480000),
    kSharedMemoryPlace(0x10490000), kCopiedPlace(0x104a0000), kWildPlace(0x10800000 - 4 * kPageSize);

class Worker {
 public:
  Worker(Workload& work, uint32_t number);
  void run();
  static VirtAddr word_at(VirtAddr place, uint32_t page, uint32_t thread) { return place + (page * kPageSize + thread * 4); }

 private:
  enum Kind : uint32_t { kNothing, kAnonymous, kSharedFile, kSharedMemory, kCopied, kOwn, kWild };
  struct Operation {
    const char* name;
    uint32_t weight;
    void (Worker::*run)();
  };
  static const Operation kOperations[];

  uint32_t random(uint32_t below) { return generator_() % below; }
  bool chance(uint32_t percent) { return random(100) < percent; }
  AddressSpace& space() { return *process_->space; }
  VirtAddr place_of(Kind kind) const;
  Words& words_of(Kind kind);
  // A value that nobody has written before, and that tells whose it is and where it belongs.
  uint32_t new_value(Kind kind, uint32_t page) { return ++values_ << 12 | kind << 8 | page << 4 | number_; }
  static void check_tag(uint32_t value, Kind kind, uint32_t page, uint32_t thread);
  static void check_range(uint32_t value, uint32_t lowest, uint32_t highest, const char* what);

  // One access of the program's; false if there was no memory for it.
  bool load(VirtAddr address, uint32_t& value);
  bool store(VirtAddr address, uint32_t value);
  FaultOutcome touch(VirtAddr address, bool is_write);

  void do_everything();
  void read_and_reclaim();
  void fork_and_write();
  void exec_and_exit();
  void write_word();
  void write_word_of(Kind kind, uint32_t page);
  void read_word();
  void read_copied_word(uint32_t page, uint32_t thread);
  void write_file();
  void read_file();
  void live_in_own_place();
  bool fill_own(VirtAddr place, uint32_t pages, uint32_t* values);
  void check_own(VirtAddr place, uint32_t pages, const uint32_t* values);
  void check_gone(VirtAddr place, uint32_t pages);
  void look_at_others_place();
  void fork();
  void change_process();
  void exec();
  void wild();
  void map_wild(VirtAddr page, uint32_t pages);
  void touch_wild(VirtAddr page);
  void truncate();
  void write_back();
  void drop_clean();
  void reclaim();
  void work_for_the_kernel();
  void swap_off_and_on();
  void loan();
  void advise();

  Workload& work_;
  const uint32_t number_;
  std::mt19937 generator_;
  std::shared_ptr<WorkProcess> process_;
  uint32_t values_ = 0;
};

}  // namespace faultline::host
