// The rules by which requests fail or come late: see block_faults.h.
#include "fs/block_faults.h"

#include "arch/clock.h"
#include "lib/lock.h"
#include "lib/scheduling.h"

namespace faultline {

namespace {

constexpr uint32_t kMaxFaults = 16;

struct Rules {
  InterruptSpinLock<LockRank::kBlockQueue> lock;
  BlockFault faults[kMaxFaults] GUARDED_BY(lock);
  uint32_t count GUARDED_BY(lock) = 0;
};
constinit Rules rules;

bool concerns(const BlockFault& fault, const BlockDevice& device, const BlockRequest& request) {
  if (fault.device != &device) return false;
  switch (request.operation) {
    case BlockOperation::kFlush: return fault.flushes;
    case BlockOperation::kRead:
      if (!fault.reads) return false;
      break;
    case BlockOperation::kWrite:
      if (!fault.writes) return false;
      break;
  }
  const uint64_t end = request.sector + request.sectors();
  return end > fault.first && (request.sector < fault.first || request.sector - fault.first < fault.sectors);
}

// xorshift32: short, and the same everywhere.
uint32_t next_random(uint32_t& state) {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

bool strikes(BlockFault& fault) {
  if (fault.nth > 1) return fault.nth--, false;
  if (fault.times == 0) return false;
  if (fault.per_mille < 1000 && next_random(fault.seed) % 1000 >= fault.per_mille) return false;
  if (fault.times != ~0u) fault.times--;
  fault.struck++;
  return true;
}

// The longest delay that the rules ask for; `fails`: one of them asks for an error.
uint64_t ask_rules(const BlockDevice& device, const BlockRequest& request, bool& fails) {
  uint64_t delay = 0;
  InterruptLockGuard guard(rules.lock);
  for (uint32_t i = 0; i < rules.count; i++) {
    BlockFault& fault = rules.faults[i];
    if (!concerns(fault, device, request) || !strikes(fault)) continue;
    if (fault.delay > delay) delay = fault.delay;
    fails |= fault.delay == 0;
  }
  return delay;
}

}  // namespace

constinit Atomic<uint32_t> block_fault_rules{0};

// The one who asks waits, as for a disk that serves one request at a time.
bool BlockDevice::is_struck(BlockRequest& request) {
  bool fails = false;
  if (uint64_t delay = ask_rules(*this, request, fails)) {
    const uint64_t end = clock_monotonic() + delay;
    while (clock_monotonic() < end) ignore_result(block(SleepKind::kUninterruptible, Deadline{end}));  // may be spurious
  }
  if (fails) request.complete(request, Errno::kIO);
  return fails;
}

Result<void> block_fault_add(const BlockFault& fault) {
  InterruptLockGuard guard(rules.lock);
  if (rules.count == kMaxFaults) return Errno::kNOSPC;
  rules.faults[rules.count++] = fault;
  block_fault_rules.store(rules.count, memory_order_relaxed);
  return {};
}

void block_faults_clear() {
  InterruptLockGuard guard(rules.lock);
  rules.count = 0;
  block_fault_rules.store(0, memory_order_relaxed);
}

bool block_fault_at(uint32_t index, BlockFault& fault) {
  InterruptLockGuard guard(rules.lock);
  if (index >= rules.count) return false;
  fault = rules.faults[index];
  return true;
}

}  // namespace faultline
