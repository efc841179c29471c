// See explorer.h.
#include "explorer.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "emulated_machine.h"
#include "fiber.h"
#include "lib/panic.h"
#include <machine/cpu_inline.h>

namespace faultline::host {

using machine::Point;

namespace {

constexpr uint32_t kNoCpu = ~0u;

Explorer* explorer = nullptr;  // the one that runs

const char* name_of(Point point) {
  constexpr const char* kNames[] = {"a load",        "a store",   "an update", "a spin",     "the end of a spin lock",
                                    "interrupts on", "an access", "a flush",   "a transfer", "a yield"};
  return kNames[static_cast<uint8_t>(point)];
}

}  // namespace

struct Explorer::Task {
  Task() = default;  // the one that waits for all others
  explicit Task(void (*entry)()) : fiber(entry) {}

  enum class State : uint8_t { kRunnable, kAsleep, kTransfers, kEnded };
  std::string name;
  std::function<void()> body;
  Fiber fiber;

  State state = State::kRunnable;
  Point at = Point::kYield;
  bool has_permit = false, may_time_out = false;
  uint64_t due = 0;  // of a transfer, or a sleep with a deadline: not before so many points
  uint32_t cpu = kNoCpu, last_cpu = kNoCpu;
  uint32_t priority = 0;
  bool has_started = false;
  AddressSpace* space = nullptr;
  SleepingLocks locks;
};

// A request to other CPUs, on the asking thread's stack.
struct Explorer::Call {
  const std::function<void()>& action;
  uint32_t unanswered;
};

ScheduleOptions schedule_of(uint32_t seed) {
  ScheduleOptions options;
  options.seed = seed;
  constexpr uint32_t kRates[] = {2, 4, 8, 20, 60};
  options.rate = kRates[seed / 2 % std::size(kRates)];
  options.policy = seed % 2 ? ScheduleOptions::Policy::kRandomWalk : ScheduleOptions::Policy::kPriorities;
  options.changes = 2 + seed / 2 % 12;
  return options;
}

Explorer::Explorer(const ScheduleOptions& options)
    : options_(options), generator_(options.seed), main_(std::make_unique<Task>()), holder_(cpu_count()), pending_(cpu_count()) {
  for (uint32_t i = 0; i < options.changes; i++) change_points_.push_back(random(options.expected_points));
  current_ = main_.get();
  explorer = this;
  executor = this;
  machine::on_point = &at_point;
  panic_hook = [](const char* message) { explorer->report(message); };
}

Explorer::~Explorer() {
  machine::on_point = nullptr;
  panic_hook = nullptr;
  executor = nullptr;
  explorer = nullptr;
  machine_switch_cpu(0);
}

void Explorer::add_thread(std::string name, std::function<void()> body) {
  auto task = std::make_unique<Task>(&task_main);
  task->name = std::move(name);
  task->body = std::move(body);
  task->priority = lowest_priority_ + 1 + random(1000);
  tasks_.push_back(std::move(task));
}

void Explorer::run() {
  Task* first = choose(false);
  if (first) switch_to(*first);
  is_deaf_ = true;
  machine_switch_cpu(0);
}

void Explorer::task_main() {
  Task& self = *explorer->current_;
  self.has_started = true;
  explorer->go_on(self);
  self.body();
  self.body = nullptr;
  explorer->is_deaf_ = true;
  explorer->enter(nullptr);
  self.state = Task::State::kEnded;
  explorer->holder_[self.cpu] = nullptr;
  self.cpu = kNoCpu;
  explorer->give_way();
}

// What environment.cpp asks.

Thread* Explorer::current_thread() { return reinterpret_cast<Thread*>(current_); }
SleepingLocks* Explorer::locks() { return &current_->locks; }

Result<void> Explorer::block(SleepKind, Deadline deadline) {
  Task& self = *current_;
  if (&self == main_.get()) PANIC("the thread that waits for all others sleeps");
  if (!machine::interrupts_enabled()) PANIC("blocks with interrupts off");
  if (self.has_permit) return self.has_permit = false, Result<void>();
  self.state = Task::State::kAsleep;
  self.may_time_out = !deadline.is_never();
  self.due = points_ + random(500);
  holder_[self.cpu] = nullptr;
  self.cpu = kNoCpu;
  give_way();
  self.state = Task::State::kRunnable;
  if (self.has_permit) return self.has_permit = false, Result<void>();
  return Errno::kTIMEDOUT;
}

void Explorer::wake(Thread& thread) {
  reinterpret_cast<Task&>(thread).has_permit = true;
  reconsiders_ = true;
}

void Explorer::transfer() {
  Task& self = *current_;
  if (machine::preemption_depth() != 0 || !machine::interrupts_enabled()) PANIC("waits for a device with a spin lock held");
  self.state = Task::State::kTransfers;
  self.at = Point::kTransfer;
  self.due = points_ + (random(2) ? random(2000) : random(50));
  holder_[self.cpu] = nullptr;
  self.cpu = kNoCpu;
  give_way();
  self.state = Task::State::kRunnable;
}

void Explorer::enter(AddressSpace* space) {
  PreemptionGuard guard;
  current_->space = space;
  machine_run(this_cpu(), space);
}

// As arch/x86/tlb.cpp: publishes, and serves others' requests while it waits for all answers.
void Explorer::call(CpuMask cpus, const std::function<void()>& action) {
  PreemptionGuard guard;
  const uint32_t self = this_cpu();
  Call call{action, 0};
  for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) {
    if (!(cpus & cpu_bit(cpu)) || cpu == self) continue;
    pending_[cpu].push_back(&call);
    call.unanswered++;
  }
  machine::point(Point::kFlush);
  if (cpus & cpu_bit(self)) {
    InterruptGuard interrupt;
    action();
  }
  while (call.unanswered != 0) {
    serve(self);
    if (call.unanswered != 0) machine::relax();
  }
}

void Explorer::serve(uint32_t cpu) {
  const bool was_deaf = std::exchange(is_deaf_, true);
  const uint32_t here = this_cpu();
  for (Call* call : std::exchange(pending_[cpu], {})) {
    machine_switch_cpu(cpu);
    machine::emulated.interrupts_disabled[cpu]++;
    call->action();
    machine::emulated.interrupts_disabled[cpu]--;
    call->unanswered--;
  }
  machine_switch_cpu(here);
  is_deaf_ = was_deaf;
}

void Explorer::serve_idle(Force force) {
  for (uint32_t cpu = 0; cpu < pending_.size(); cpu++)
    if (!pending_[cpu].empty() && !holder_[cpu] && (force == Force::kYes || random(4) == 0)) serve(cpu);
}

// Decisions.

void Explorer::at_point(Point point) {
  if (!explorer->is_deaf_) explorer->arrive(point);
}

void Explorer::arrive(Point point) {
  Task& self = *current_;
  self.at = point;
  fingerprint_ = fingerprint_ * 31 + static_cast<uint64_t>(point) + (self.priority ^ this_cpu());
  if (++points_ > options_.most_points) stop("the run does not end");
  serve_idle(point == Point::kSpin ? Force::kYes : Force::kNo);
  if (!pending_[this_cpu()].empty() && machine::interrupts_enabled() && (point == Point::kSpin || random(4) == 0)) serve(this_cpu());
  if (wants_switch(point)) give_way();
}

bool Explorer::wants_switch(Point point) {
  if (options_.policy == ScheduleOptions::Policy::kPriorities) {
    const bool changes = std::find(change_points_.begin(), change_points_.end(), points_) != change_points_.end();
    const bool gives_way = changes || point == Point::kSpin || point == Point::kYield;
    if (gives_way) lower_priority(*current_);
    constexpr uint64_t kDevicesAreSeen = 16;
    return std::exchange(reconsiders_, false) || gives_way || points_ % kDevicesAreSeen == 0;
  }
  switch (point) {
    case Point::kSpin:
    case Point::kYield: return true;
    case Point::kLoad:
    case Point::kStore: return random(options_.rate * 4) == 0;
    case Point::kUpdate:
    case Point::kInterrupts:
    case Point::kPreemptible: return random(options_.rate) == 0;
    case Point::kAccess:
    case Point::kFlush:
    case Point::kTransfer: return random(3) != 0;
  }
  return true;
}

void Explorer::lower_priority(Task& task) { task.priority = --lowest_priority_; }

bool Explorer::is_due(const Task& task) const {
  switch (task.state) {
    case Task::State::kRunnable: return true;
    case Task::State::kAsleep: return task.has_permit || (task.may_time_out && task.due <= points_);
    case Task::State::kTransfers: return task.due <= points_;
    case Task::State::kEnded: return false;
  }
  return false;
}

bool Explorer::is_preemptible(uint32_t cpu) const {
  return machine::emulated.preemption_disabled[cpu] == 0 && machine::emulated.interrupts_disabled[cpu] == 0;
}

bool Explorer::may_run(const Task& task) const {
  if (!is_due(task)) return false;
  if (task.cpu != kNoCpu) return true;
  for (uint32_t cpu = 0; cpu < holder_.size(); cpu++)
    if (!holder_[cpu] || is_preemptible(cpu)) return true;
  return false;
}

Explorer::Task* Explorer::choose_among(const std::vector<Task*>& candidates) {
  if (candidates.empty()) return nullptr;
  if (options_.policy == ScheduleOptions::Policy::kRandomWalk) return candidates[random(static_cast<uint32_t>(candidates.size()))];
  return *std::max_element(candidates.begin(), candidates.end(), [](Task* a, Task* b) { return a->priority < b->priority; });
}

// Who goes on; null: nobody can. Where nobody else has anything to do, what would have come later comes now.
Explorer::Task* Explorer::choose(bool others_only) {
  std::vector<Task*> candidates;
  for (auto& task : tasks_)
    if (may_run(*task) && !(others_only && task.get() == current_)) candidates.push_back(task.get());
  if (!candidates.empty()) return choose_among(candidates);
  if (others_only && current_ != main_.get() && may_run(*current_)) {
    // It spins for what a device will bring.
    for (auto& task : tasks_) task->due = task->state == Task::State::kTransfers ? 0 : task->due;
    for (auto& task : tasks_)
      if (may_run(*task) && task.get() != current_) candidates.push_back(task.get());
    return candidates.empty() ? current_ : choose_among(candidates);
  }
  Task* soonest = nullptr;
  for (auto& task : tasks_) {
    const bool waits_for_time = task->state == Task::State::kTransfers || (task->state == Task::State::kAsleep && task->may_time_out);
    if (waits_for_time && (!soonest || task->due < soonest->due)) soonest = task.get();
  }
  if (soonest) soonest->due = 0;
  return soonest && may_run(*soonest) ? soonest : nullptr;
}

// A CPU for a thread that has none: an idle one, or one whose thread may be pre-empted.
bool Explorer::find_cpu(Task& task) {
  std::vector<uint32_t> idle, taken;
  for (uint32_t cpu = 0; cpu < holder_.size(); cpu++) {
    if (!holder_[cpu])
      idle.push_back(cpu);
    else if (is_preemptible(cpu))
      taken.push_back(cpu);
  }
  const bool has_idle = !idle.empty();
  const std::vector<uint32_t>& from = has_idle ? idle : taken;
  if (from.empty()) return false;
  task.cpu = from[random(static_cast<uint32_t>(from.size()))];
  if (Task* other = holder_[task.cpu]) other->cpu = kNoCpu;
  holder_[task.cpu] = &task;
  return true;
}

void Explorer::give_way() {
  is_deaf_ = true;
  Task& self = *current_;
  // Now and then another CPU is better.
  const bool leaves_cpu = self.cpu != kNoCpu && is_preemptible(self.cpu) && random(options_.stays) == 0;
  if (leaves_cpu) holder_[self.cpu] = nullptr, self.cpu = kNoCpu;
  Task* next = choose(self.state == Task::State::kRunnable && (self.at == Point::kSpin || self.at == Point::kYield));
  if (!next && std::all_of(tasks_.begin(), tasks_.end(), [](auto& task) { return task->state == Task::State::kEnded; })) next = main_.get();
  if (!next) stop("nothing can go on: a deadlock, or a wake-up was lost");
  if (options_.trace && next != &self)
    fprintf(stderr, "%8llu %s -> %s (%s)\n", static_cast<unsigned long long>(points_), self.name.c_str(), next->name.c_str(),
            name_of(self.at));
  if (next == &self)
    go_on(self);
  else
    switch_to(*next);
}

void Explorer::switch_to(Task& next) {
  Task& self = *current_;
  current_ = &next;
  if (self.state == Task::State::kEnded) self.fiber.end_in(next.fiber);
  self.fiber.switch_to(next.fiber);
  while (Task* asker = reporting_) {
    print_stack_here();
    self.fiber.switch_to(asker->fiber);
  }
  if (&self != main_.get()) go_on(self);
}

void Explorer::go_on(Task& self) {
  const bool has_moved = self.cpu == kNoCpu;
  if (has_moved && !find_cpu(self)) PANIC("no CPU for the chosen thread");
  machine_switch_cpu(self.cpu);
  machine::emulated.spins = 0;
  is_deaf_ = false;
  if (has_moved) machine_run(self.cpu, self.space);
}

// Reports.

void Explorer::print(const Task& task) const {
  auto what = [](const SleepingLocks::Held& lock) {
    return lock.lock ? std::string(lock_rank_name(lock.rank)) + (lock.mode == SleepingLocks::Mode::kShared ? " (shared) " : " ")
                     : std::string();
  };
  constexpr const char* kStates[] = {"can run", "sleeps", "waits for a device", "has ended"};
  fprintf(stderr, "thread %s %s", task.name.c_str(), kStates[static_cast<uint8_t>(task.state)]);
  if (task.cpu != kNoCpu) fprintf(stderr, " on CPU %u", task.cpu);
  fprintf(stderr, ", last seen at %s", name_of(task.at));
  for (uint32_t i = 0; i < task.locks.count; i++)
    fprintf(stderr, "; holds %s%p", what(task.locks.held[i]).c_str(), task.locks.held[i].lock);
  if (task.locks.wanted.lock) {
    fprintf(stderr, "; waits for %s%p", what(task.locks.wanted).c_str(), task.locks.wanted.lock);
    bool is_held = false;
    for (auto& other : tasks_)
      for (uint32_t i = 0; i < other->locks.count; i++)
        if (other->locks.held[i].lock == task.locks.wanted.lock) {
          is_held = true;
          fprintf(stderr, ", which %s holds", other->name.c_str());
        }
    if (!is_held) fprintf(stderr, ", which nobody holds: a wake-up was lost");
  }
  fprintf(stderr, "\n");
}

// By asking it to do so itself.
void Explorer::print_stack_of(Task& task) {
  Task& self = *current_;
  if (&task == &self) return print_stack_here();
  if (!task.has_started || task.state == Task::State::kEnded) return;
  reporting_ = &self;
  self.fiber.switch_to(task.fiber);
  reporting_ = nullptr;
}

void Explorer::report(const char* what) {
  is_deaf_ = true;
  fprintf(stderr, "explorer: seed %u, point %llu, in thread %s: %s\n", options_.seed, static_cast<unsigned long long>(points_),
          current_->name.c_str(), what);
  for (auto& task : tasks_) print(*task);
  for (auto& task : tasks_) {
    fprintf(stderr, "thread %s:\n", task->name.c_str());
    print_stack_of(*task);
  }
}

void Explorer::stop(const char* what) {
  report(what);
  fflush(stderr);
  abort();
}

}  // namespace faultline::host
