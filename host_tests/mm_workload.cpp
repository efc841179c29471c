// See mm_workload.h.
#include "mm_workload.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "host_tests/support/emulated_machine.h"
#include "mm/check.h"
#include "mm/slab.h"
#include "mm_worker.h"

namespace faultline::host {

void work_fails(const char* format, ...) {
  char text[300];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  PANIC(text);
}

WorkloadOptions workload_of(uint32_t seed, Mix mix) {
  WorkloadOptions options;
  options.seed = seed;
  options.mix = mix;
  options.threads = 2 + seed % 4;
  options.cpus = 2 + seed / 4 % 3;
  options.frames = seed % 5 == 0 ? 150 : 420;
  options.has_swap = seed % 3 != 0;
  options.stays_together = seed % 7 < 3;
  if (mix == Mix::kEverything) return options;
  options.has_swap = false;
  options.threads = mix == Mix::kExecsAndExits ? 4 : 2;
  options.cpus = mix == Mix::kExecsAndExits ? 3 : 2;
  options.operations = mix == Mix::kReadsAndReclaims ? 4 : 2;
  return options;
}

class Workload::CachedFile final : public Object {
 public:
  CachedFile(PageSource& source, uint64_t bytes) : Object(source, bytes) {}
  void acquire() override {}
  void release() override {}
};

Workload::Workload(const WorkloadOptions& options, Executor& runner) : options_(options), executor_(runner) {
  constexpr uint32_t kBytes = kWorkPages * kPageSize;
  // In the emulated machine's memory: the kernel hashes their addresses, which must be the same in every run.
  stable_file_ = slab_new<CachedFile>(stable_disk_, kBytes).release_value();
  wild_file_ = slab_new<CachedFile>(wild_disk_, kBytes).release_value();
  shared_memory_ = Object::create_anonymous(kBytes).release_value();
  stable_.object = stable_file_;
  wild_.object = wild_file_;
  shared_.object = shared_memory_.get();
  if (options_.has_swap) add_swap();
  for (int i = 0; i < (options_.stays_together ? 1 : 2); i++)
    if (auto process = make_process()) processes_.push_back(std::move(process));
  if (options_.mix == Mix::kForksAndWrites) make_relatives();
  if (processes_.empty()) work_fails("no memory to begin with");
  for (uint32_t i = 0; i < options_.threads; i++) executor_.add_thread(std::to_string(i), [this, i] { Worker(*this, i).run(); });
}

Workload::~Workload() = default;

void Workload::add_swap() {
  constexpr uint32_t kPages = 300;
  auto area = swap_add(swap_disk_, kPages, {}, 0);
  if (!area.ok()) work_fails("a swap area cannot be added");
  swap_area_ = area.value();
}

std::shared_ptr<WorkProcess> Workload::make_process() {
  auto space = AddressSpace::create();
  if (!space.ok()) return nullptr;
  auto process = std::make_shared<WorkProcess>();
  process->space = space.release_value();
  auto map = [&](VirtAddr place, Object* object, bool is_shared) {
    MapRequest request;
    request.address = place;
    request.bytes = kWorkPages * kPageSize;
    request.protection = kProtRead | kProtWrite;
    request.fixed = true;
    request.shared = is_shared;
    if (object) request.object = Ref<Object>(*object);
    return process->space->map(request).ok();
  };
  const bool is_made = map(kAnonymousPlace, nullptr, false) && map(kSharedFilePlace, stable_.object, true) &&
                       map(kSharedMemoryPlace, shared_.object, true) && map(kCopiedPlace, stable_.object, false);
  return is_made ? process : nullptr;
}

// A process for each thread, with every page of private memory in common; of the two tables one is shared, one copied.
void Workload::make_relatives() {
  processes_.resize(1);
  machine_run(0, processes_[0]->space.get());
  for (uint32_t page = 0; page < kWorkPages; page++)
    if (uint32_t zero = 0; machine_write(kAnonymousPlace + page * kPageSize, &zero, sizeof zero) != FaultOutcome::kResolved)
      work_fails("a page cannot be written to");
  while (processes_.size() < options_.threads) {
    processes_.push_back(std::make_shared<WorkProcess>());
    processes_.back()->space = processes_[0]->space->fork(kAnonymousPlace).release_value();
  }
  machine_run(0, nullptr);
}

std::shared_ptr<WorkProcess> Workload::any_process(uint32_t choice) {
  std::lock_guard guard(processes_lock_);
  return processes_[choice % processes_.size()];
}

void Workload::replace(uint32_t choice, std::shared_ptr<WorkProcess> process) {
  constexpr size_t kMost = 4;
  std::lock_guard guard(processes_lock_);
  if (processes_.size() < kMost)
    processes_.push_back(std::move(process));
  else
    std::swap(processes_[choice % kMost], process);
  // The argument, which may be the last to know the old one, dies after the lock is let go.
}

void Workload::check_machine(const char* when) {
  if (std::string wrong = machine_check_tlbs(); !wrong.empty()) work_fails("%s: %s", when, wrong.c_str());
  if (const char* broken = mm_check_invariants()) work_fails("%s: %s", when, broken);
}

void Workload::check_words(WorkProcess& process) {
  machine_run(0, process.space.get());
  auto check = [](VirtAddr place, const Words& words, bool may_be_the_files) {
    for (uint32_t page = 0; page < kWorkPages; page++)
      for (uint32_t thread = 0; thread < kMostThreads; thread++) {
        const Word& word = words[page][thread];
        uint32_t value;
        if (may_be_the_files && word.lowest == 0) continue;
        if (machine_read(Worker::word_at(place, page, thread), &value, sizeof value) != FaultOutcome::kResolved) continue;
        if (value < word.lowest || value > word.highest)
          work_fails("at the end the word of thread %u in page %u at %#x is %#x, should be in %#x..%#x", thread, page, place.value(), value,
                     word.lowest.load(), word.highest.load());
      }
  };
  check(kAnonymousPlace, process.anonymous, false);
  check(kCopiedPlace, process.copied, true);
  check(kSharedFilePlace, stable_.words, false);
  check(kSharedMemoryPlace, shared_.words, false);
}

// After a write-back the disk alone must know everything.
void Workload::check_disk() {
  while (!stable_file_->write_back_all(WriteBack::kWait).ok()) {
  }
  for (uint32_t page = 0; page < kWorkPages; page++)
    for (uint32_t thread = 0; thread < kMostThreads; thread++) {
      const uint32_t expected = stable_.words[page][thread].lowest;
      auto found = stable_disk_.pages.find(page);
      uint32_t value = 0;
      if (found != stable_disk_.pages.end()) memcpy(&value, found->second.data() + thread * 4, sizeof value);
      if (value != expected) work_fails("the disk has %#x for thread %u in page %u, should have %#x", value, thread, page, expected);
    }
}

void Workload::check_leaks() {
  processes_.clear();
  shared_memory_ = {};
  for (CachedFile* file : {stable_file_, wild_file_}) {
    file->drop_all();
    slab_delete(file);
  }
  check_machine("with everything gone");
  SwapStatistics swap = swap_statistics();
  if (swap.free != swap.total || swap.cached != 0) work_fails("swap slots leaked");
  if (options_.has_swap && !swap_remove(swap_area_).ok()) work_fails("an empty swap area cannot be taken out");
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) machine_run(cpu, nullptr);
  machine_switch_cpu(0);
  slab_drain();
  FrameStatistics statistics = frame_statistics();
  auto used = [&](FrameUse use) { return statistics.by_use[static_cast<uint32_t>(use)]; };
  if (used(FrameUse::kAnonymous) || used(FrameUse::kObject) || used(FrameUse::kPageTable)) work_fails("pages leaked");
  if (used(FrameUse::kSlab)) work_fails("slab memory leaked");
  if (used(FrameUse::kPageDirectory) > 5) work_fails("directories leaked");
}

void Workload::finish() {
  check_machine("when the dust has settled");
  for (auto& process : processes_) check_words(*process);
  check_disk();
  check_leaks();
}

}  // namespace faultline::host
