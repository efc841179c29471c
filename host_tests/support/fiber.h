// A stack, and where its owner has stopped on it: one host thread runs many of them in turns. The address sanitizer is told whose stack it is on.
// Not swapcontext(), which asks the host's kernel for the signal mask at every switch.
#pragma once

#include <cstddef>

namespace faultline::host {

class Fiber {
 public:
  // What runs already: the thread's own.
  Fiber() = default;
  // Begins with entry(), which must not return, when it is first switched to.
  explicit Fiber(void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From this one, which runs, to another; returns when somebody switches back.
  void switch_to(Fiber& next);
  // The same for the last time.
  [[noreturn]] void end_in(Fiber& next);

 private:
  enum class Leave : unsigned char { kForNow, kForGood };
  void leave(Fiber& next, Leave how);
  static void begin();
  void arrived();

  void (*entry_)() = nullptr;
  void* stack_ = nullptr;  // null: the host thread's own
  void* stopped_at_ = nullptr;
  // For the sanitizer. Those of the host thread's own stack are learnt when it is left.
  const void* bottom_ = nullptr;
  size_t bytes_ = 0;
  void* fake_stack_ = nullptr;
};

void print_stack_here();

}  // namespace faultline::host
