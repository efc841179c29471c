// lwIP's heap: see memory.h. Blocks carry their size in front, for the slab wants it back.
#include "kernel/net/lwip/memory.h"

#include <algorithm>

#include <machine/cpu_inline.h>

#include "lib/string.h"
#include "mm/frames.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint32_t kShare = 8;        // one part of so many
constinit NetworkMemory memory = {};  // guarded by network_lock, which lwIP's C cannot say

struct Block {
  uint32_t bytes;  // with this
  uint8_t data[];
};

}  // namespace

void memory_initialize() { memory.bound = std::min<uint32_t>(frame_statistics().total / kShare, 0xffffffff >> kPageShift) << kPageShift; }

NetworkMemory network_memory() { return memory; }

}  // namespace faultline

using namespace faultline;

// Memory that is short is not waited for under the core's lock, where everybody would wait with it: hence without pre-emption.
void* lwip_port_allocate(uint32_t bytes) {
  const uint32_t whole = bytes + static_cast<uint32_t>(sizeof(Block));
  if (whole < bytes || whole > memory.bound - memory.used) return nullptr;
  machine::preemption_disable();
  Block* block = static_cast<Block*>(slab_allocate(whole));
  machine::preemption_enable();
  if (!block) return nullptr;
  block->bytes = whole;
  memory.used += whole;
  return block->data;
}

void* lwip_port_allocate_zeroed(uint32_t count, uint32_t bytes) {
  uint32_t product;
  if (__builtin_mul_overflow(count, bytes, &product)) return nullptr;
  void* data = lwip_port_allocate(product);
  if (data) memset(data, 0, product);
  return data;
}

void lwip_port_free(void* pointer) {
  Block* block = reinterpret_cast<Block*>(static_cast<uint8_t*>(pointer) - sizeof(Block));
  memory.used -= block->bytes;
  slab_free(block, block->bytes);
}
