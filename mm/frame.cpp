// Pins, and waiting for a frame under I/O: see frame.h.
#include "mm/frame.h"

#include <array>

#include "lib/late.h"
#include "lib/wait_queue.h"
#include "mm/swap_cache.h"

namespace faultline {
namespace {

// Frames share wait queues by number; who is woken for another's frame looks and sleeps again.
constexpr uint32_t kQueues = 32;
constinit Late<std::array<WaitQueue, kQueues>> queues;

WaitQueue& queue_of(const Frame& frame) { return (*queues)[frame_number(frame).value() % kQueues]; }

}  // namespace

void frame_wait_initialize() { queues.construct(); }

void frame_pin(Frame& frame) {
  FrameLock lock(frame);
  frame.pins.store(frame.pins.load(memory_order_relaxed) + 1, memory_order_relaxed);
}

void frame_unpin(Frame& frame) {
  bool unused;
  {
    FrameLock lock(frame);
    uint32_t pins = frame.pins.load(memory_order_relaxed);
    ASSERT(pins > 0);
    frame.pins.store(pins - 1, memory_order_relaxed);
    unused = frame_let_go(frame);
  }
  if (unused) frame_free(frame_number(frame));
}

bool frame_let_go(Frame& frame) {
  if (frame.map.load(memory_order_relaxed) != 0 || frame.pins.load(memory_order_relaxed) != 0) return false;
  return !frame.is(kFrameResident) || (frame_has_slot(frame) && swap_cache_leave(frame));
}

void frame_wait(const Frame& frame, uint8_t flags) {
  // Uninterruptible and endless: cannot fail.
  ignore_result(wait_until(queue_of(frame), [&] { return (frame.flags.load(memory_order_seq_cst) & flags) == 0; }));
}

void frame_wake(Frame& frame, uint8_t flags) {
  frame.flags.fetch_and(static_cast<uint8_t>(~flags), memory_order_seq_cst);
  queue_of(frame).wake_all();
}

}  // namespace faultline
