// The thread that delivers terminal input.
#include "drivers/terminal/input_thread.h"

#include "lib/atomic.h"
#include "lib/panic.h"
#include "lib/wait_queue.h"

namespace faultline {

namespace {

constexpr unsigned kMaxSources = 8;
constinit TerminalInputSource* sources[kMaxSources];
constinit unsigned source_count = 0;
constinit Atomic<bool> arrived{false};
constinit Atomic<Thread*> deliverer{nullptr};

}  // namespace

void terminal_input_register(TerminalInputSource& source) {
  ASSERT(source_count < kMaxSources);
  sources[source_count++] = &source;
}

void terminal_input_arrived() {
  arrived.store(true, memory_order_seq_cst);
  if (Thread* thread = deliverer.load(memory_order_acquire)) wake(*thread);
}

void terminal_input_loop(void*) {
  deliverer.store(current_thread(), memory_order_seq_cst);
  for (;;) {
    while (!arrived.exchange(false, memory_order_seq_cst)) ignore_result(block(SleepKind::kUninterruptible));  // cannot fail
    for (unsigned i = 0; i < source_count; i++) sources[i]->deliver_input();
  }
}

}  // namespace faultline
