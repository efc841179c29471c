// Timers: see timer.h. A pairing heap for each CPU (Fredman, Sedgewick, Sleator, Tarjan 1986): constant insertion, and removal in
// logarithmic time on average, with three links in each timer.
#include "kernel/timer.h"

#include <array>
#include <utility>

#include "arch/clock.h"
#include "arch/cpu.h"
#include "lib/lock.h"

namespace faultline {

class TimerHeap {
 public:
  InterruptSpinLock<LockRank::kTimer> lock;
  Timer* root GUARDED_BY(lock) = nullptr;
  Atomic<Timer*> running{nullptr};          // its callback is being called; written under the lock
  uint64_t armed GUARDED_BY(lock) = ~0ull;  // what the clock was last told
  uint64_t slice GUARDED_BY(lock) = ~0ull;

  void insert(Timer& timer) REQUIRES(lock) {
    timer.child_ = timer.sibling_ = timer.previous_ = nullptr;
    timer.queued_ = true;
    root = merge(root, &timer);
  }

  void remove(Timer& timer) REQUIRES(lock) {
    timer.queued_ = false;
    if (&timer == root) {
      root = merge_pairs(timer.child_);
      return;
    }
    if (timer.previous_->child_ == &timer)
      timer.previous_->child_ = timer.sibling_;
    else
      timer.previous_->sibling_ = timer.sibling_;
    if (timer.sibling_) timer.sibling_->previous_ = timer.previous_;
    root = merge(root, merge_pairs(timer.child_));
  }

  // Interrupts are off under the lock, as clock_arm() wants.
  void arm() REQUIRES(lock) {
    uint64_t wanted = root && root->deadline_ < slice ? root->deadline_ : slice;
    if (wanted >= armed) return;  // it goes off early and is armed again then
    armed = wanted;
    clock_arm(wanted);
  }

 private:
  static Timer* merge(Timer* left, Timer* right) {
    if (!left) return right;
    if (!right) return left;
    if (right->deadline_ < left->deadline_) std::swap(left, right);
    right->previous_ = left;
    right->sibling_ = left->child_;
    if (right->sibling_) right->sibling_->previous_ = right;
    left->child_ = right;
    left->sibling_ = left->previous_ = nullptr;
    return left;
  }

  // Two passes: neighbours in pairs from left to right, then everything from right to left.
  static Timer* merge_pairs(Timer* first) {
    Timer* done = nullptr;  // linked through sibling_
    while (first) {
      Timer* second = first->sibling_;
      Timer* rest = second ? second->sibling_ : nullptr;
      first->sibling_ = first->previous_ = nullptr;
      if (second) second->sibling_ = second->previous_ = nullptr;
      Timer* pair = merge(first, second);
      pair->sibling_ = done;
      done = pair;
      first = rest;
    }
    Timer* result = nullptr;
    while (done) {
      Timer* next = std::exchange(done->sibling_, nullptr);
      result = merge(result, done);
      done = next;
    }
    return result;
  }
};

namespace {
constinit std::array<TimerHeap, kMaxCpus> heaps;
}

void Timer::set(uint64_t deadline) {
  if (queued_) cancel();
  InterruptGuard interrupts_off;
  uint32_t cpu = this_cpu();
  TimerHeap& heap = heaps[cpu];
  InterruptLockGuard guard(heap.lock);
  cpu_.store(cpu, memory_order_relaxed);
  deadline_ = deadline;
  heap.insert(*this);
  heap.arm();
}

bool Timer::cancel() {
  bool was_set = false;
  for (;;) {
    TimerHeap& heap = heaps[cpu_.load(memory_order_relaxed)];
    bool is_running;
    {
      InterruptLockGuard guard(heap.lock);
      if (queued_) {
        heap.remove(*this);
        was_set = true;
      }
      is_running = heap.running.load(memory_order_relaxed) == this;
    }
    if (!is_running) return was_set;
    machine::relax();
  }
}

void timers_run_expired() {
  TimerHeap& heap = heaps[this_cpu()];
  uint32_t state = heap.lock.lock();
  heap.armed = ~0ull;
  uint64_t now = clock_monotonic();
  if (heap.slice <= now) heap.slice = ~0ull;
  while (heap.root && heap.root->deadline_ <= now) {
    Timer* timer = heap.root;
    heap.remove(*timer);
    heap.running.store(timer, memory_order_relaxed);
    heap.lock.unlock(state);
    timer->callback_(*timer);
    state = heap.lock.lock();
    heap.running.store(nullptr, memory_order_relaxed);
  }
  heap.arm();
  heap.lock.unlock(state);
}

void timer_arm_slice(uint64_t deadline) {
  TimerHeap& heap = heaps[this_cpu()];
  InterruptLockGuard guard(heap.lock);
  heap.slice = deadline;
  heap.arm();
}

}  // namespace faultline
