// Threads that fault, map, unmap, protect, move, fork, exec, exit, read, write, truncate, reclaim and swap at once over shared frames, and know what
// they must find. Each owns one word of every page: what it wrote there last it must read again, and what others find there is something that it
// wrote between the moment they began to look and the moment they were done. Runs under any executor (support/executor.h).
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "host_tests/support/executor.h"
#include "lib/mutex.h"
#include "slow_store.h"

namespace faultline::host {

// What the threads do: of all things, or what brings about one kind of meeting much more often than chance would.
enum class Mix : uint8_t {
  kEverything,
  kReadsAndReclaims,  // clean pages are mapped and taken away
  kForksAndWrites,    // all sides of a fork write to the same pages, one after the other
  kExecsAndExits,     // spaces end whose directory some processor still has loaded
};

struct WorkloadOptions {
  uint32_t seed = 1;
  uint32_t threads = 4, cpus = 3;
  uint32_t operations = 25;  // of each thread
  uint32_t frames = 420;
  bool has_swap = true;
  bool stays_together = false;  // one process at first, which forks much and whose threads seldom follow the child
  Mix mix = Mix::kEverything;
};

// A seed stands for the machine's size as well.
WorkloadOptions workload_of(uint32_t seed, Mix mix = Mix::kEverything);

inline constexpr uint32_t kMostThreads = 6, kWorkPages = 8;

// What a word may hold: what its owner has written for certain, and what it may have.
struct Word {
  std::atomic<uint32_t> lowest{0}, highest{0};
  void copy_lowest(const Word& other) { lowest = other.lowest.load(); }
  void copy_highest(const Word& other) { highest = other.highest.load(); }
};
using Words = std::array<std::array<Word, kMostThreads>, kWorkPages>;

// Those who share an address space.
struct WorkProcess {
  Ref<AddressSpace> space;
  Words anonymous, copied;  // private memory; a private mapping of the file
};

// A file or shared memory, with the lock that its inode would have.
struct WorkFile {
  Object* object = nullptr;
  Mutex<LockRank::kInodeContent> content_lock;
  Words words;
};

class Workload {
 public:
  // On a machine that has just been started.
  Workload(const WorkloadOptions& options, Executor& runner);
  ~Workload();
  // When all threads have ended and the executor is gone: every word, the invariants, and that nothing has leaked.
  void finish();

 private:
  friend class Worker;
  class CachedFile;

  void add_swap();
  std::shared_ptr<WorkProcess> make_process();
  void make_relatives();
  std::shared_ptr<WorkProcess> any_process(uint32_t choice);
  // Null if there are enough, or to take one away.
  void replace(uint32_t choice, std::shared_ptr<WorkProcess> process);
  void check_words(WorkProcess& process);
  void check_disk();
  void check_machine(const char* when);
  void check_leaks();

  const WorkloadOptions options_;
  Executor& executor_;
  SlowFile stable_disk_, wild_disk_;
  SlowSwap swap_disk_;
  CachedFile *stable_file_ = nullptr, *wild_file_ = nullptr;
  Ref<Object> shared_memory_;
  WorkFile stable_, wild_, shared_;
  std::mutex processes_lock_;  // never held across the kernel's code
  std::vector<std::shared_ptr<WorkProcess>> processes_;
  std::atomic<bool> moves_swap_{false};  // somebody adds and removes the area
  std::atomic<uint32_t> swap_area_{0};
};

// Fails the run.
[[noreturn]] void work_fails(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace faultline::host
