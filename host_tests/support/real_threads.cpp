// See real_threads.h.
#include "real_threads.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "emulated_machine.h"
#include <machine/cpu_inline.h>

namespace faultline::host {

using machine::Point;

// A request to other CPUs, on the asking thread's stack.
struct RealThreads::Call {
  const std::function<void()>& action;
  std::atomic<uint32_t> unanswered{0};
};

struct RealThreads::Cpu {
  uint32_t number = 0;
  std::string name;
  std::function<void()> body;
  std::thread thread;
  SleepingLocks locks;
  // Both wake the thread when it sleeps.
  std::mutex lock;
  std::condition_variable changed;
  bool has_permit = false;   // under `lock`
  std::vector<Call*> inbox;  // under `lock`
  std::atomic<bool> has_mail{false};
};

namespace {
RealThreads* threads = nullptr;
thread_local RealThreads::Cpu* own_cpu = nullptr;
}  // namespace

RealThreads::RealThreads() {
  threads = this;
  executor = this;
  machine::on_point = &at_point;
}

RealThreads::~RealThreads() {
  machine::on_point = nullptr;
  executor = nullptr;
  threads = nullptr;
}

void RealThreads::add_thread(std::string name, std::function<void()> body) {
  if (cpus_.size() == cpu_count()) PANIC("more threads than CPUs");
  auto cpu = std::make_unique<Cpu>();
  cpu->number = static_cast<uint32_t>(cpus_.size());
  cpu->name = std::move(name);
  cpu->body = std::move(body);
  cpus_.push_back(std::move(cpu));
}

void RealThreads::run() {
  running_ = static_cast<uint32_t>(cpus_.size());
  for (auto& cpu : cpus_) cpu->thread = std::thread([this, &cpu] { run_cpu(*cpu); });
  for (auto& cpu : cpus_) cpu->thread.join();
}

// A CPU whose thread has ended goes on answering until all have: its TLB is not empty.
void RealThreads::run_cpu(Cpu& cpu) {
  own_cpu = &cpu;
  machine_switch_cpu(cpu.number);
  cpu.body();
  running_.fetch_sub(1);
  while (running_.load() != 0) {
    serve(cpu);
    std::this_thread::yield();
  }
}

Thread* RealThreads::current_thread() { return reinterpret_cast<Thread*>(own_cpu); }
SleepingLocks* RealThreads::locks() { return own_cpu ? &own_cpu->locks : nullptr; }

Result<void> RealThreads::block(SleepKind, Deadline deadline) {
  Cpu& self = *own_cpu;
  std::unique_lock guard(self.lock);
  while (!self.has_permit) {
    if (!self.inbox.empty()) {
      guard.unlock();
      serve(self);
      guard.lock();
    } else if (deadline.is_never()) {
      self.changed.wait(guard);
    } else if (self.changed.wait_for(guard, std::chrono::milliseconds(2)) == std::cv_status::timeout) {
      return Errno::kTIMEDOUT;
    }
  }
  self.has_permit = false;
  return {};
}

void RealThreads::wake(Thread& thread) {
  Cpu& cpu = reinterpret_cast<Cpu&>(thread);
  std::lock_guard guard(cpu.lock);
  cpu.has_permit = true;
  cpu.changed.notify_one();
}

void RealThreads::call(CpuMask cpus, const std::function<void()>& action) {
  PreemptionGuard guard;
  Call call{action};
  for (auto& cpu : cpus_) {
    if (!(cpus & cpu_bit(cpu->number)) || cpu.get() == own_cpu) continue;
    call.unanswered.fetch_add(1);
    std::lock_guard mail(cpu->lock);
    cpu->inbox.push_back(&call);
    cpu->has_mail.store(true);
    cpu->changed.notify_one();
  }
  if (cpus & cpu_bit(this_cpu())) action();
  while (call.unanswered.load() != 0) {
    serve(*own_cpu);
    std::this_thread::yield();
  }
}

void RealThreads::serve(Cpu& cpu) {
  std::vector<Call*> calls;
  {
    std::lock_guard guard(cpu.lock);
    calls.swap(cpu.inbox);
    cpu.has_mail.store(false);
  }
  machine::emulated.interrupts_disabled[cpu.number]++;
  for (Call* call : calls) {
    call->action();
    call->unanswered.fetch_sub(1);
  }
  machine::emulated.interrupts_disabled[cpu.number]--;
}

void RealThreads::enter(AddressSpace* space) { machine_run(this_cpu(), space); }

void RealThreads::transfer() {
  for (int i = 0; i < 3; i++) {
    std::this_thread::yield();
    at_point(Point::kInterrupts);
  }
}

void RealThreads::at_point(Point point) {
  if (!own_cpu) return;
  if (own_cpu->has_mail.load(std::memory_order_relaxed) && machine::interrupts_enabled()) threads->serve(*own_cpu);
  if (point == Point::kSpin || point == Point::kYield) std::this_thread::yield();
}

}  // namespace faultline::host
