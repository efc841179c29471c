// set_robust_list(2): the list of futexes that a thread holds, in its own memory; what becomes of them when it ends. The list is the
// program's and may be anything: a cycle, or not there.
#include "kernel/calls.h"
#include "kernel/futex.h"
#include "kernel/futex_table.h"
#include "kernel/pid.h"
#include "kernel/proc/contents.h"
#include "kernel/process.h"

namespace faultline {

namespace {

// struct robust_list_head; bit 0 of a pointer to an entry marks a priority-inheriting lock.
struct RobustListHead {
  uint32_t first, offset, in_progress;
};
constexpr uint32_t kInheriting = 1, kMostEntries = 2048;

VirtAddr entry_of(uint32_t pointer) { return VirtAddr(pointer & ~kInheriting); }

enum class Progress : uint8_t { kHeld, kInProgress };

// The lock of one entry says that its owner died, and who waits for it is woken; of an inheriting one, has it.
void release(Thread& thread, uint32_t pointer, uint32_t offset, Progress progress) {
  const VirtAddr word(entry_of(pointer).value() + offset);
  uint32_t value;
  if ((word.value() & 3) || !user_load_u32(word, value)) return;
  if (pointer & kInheriting) return futex_owner_died_pi(thread, word);
  // It had let go, and died before it woke anybody.
  if (progress == Progress::kInProgress && value == 0) futex_wake_address(word, 1);
  while ((value & kFutexOwner) == thread.id()) {
    uint32_t seen = value;
    if (!user_compare_exchange_u32(word, seen, (value & kFutexWaiters) | kFutexOwnerDied)) return;
    if (seen == value) {
      if (value & kFutexWaiters) futex_wake_address(word, 1);
      return;
    }
    value = seen;
  }
}

}  // namespace

void futex_release_robust_list(Thread& thread) {
  Result<RobustListHead> head = user_read(UserPtr<RobustListHead>(thread.robust_list));
  if (!head.ok()) return;
  auto [pointer, offset, in_progress] = head.value();
  for (uint32_t count = 0; entry_of(pointer).value() != thread.robust_list && count < kMostEntries; count++) {
    uint32_t next;  // read first: who gets the lock may free it
    bool has_next = user_load_u32(entry_of(pointer), next);
    if (entry_of(pointer) != entry_of(in_progress)) release(thread, pointer, offset, Progress::kHeld);
    if (!has_next) break;
    pointer = next;
  }
  if (in_progress) release(thread, in_progress, offset, Progress::kInProgress);
}

Result<uint32_t> sys_set_robust_list(uint32_t head, uint32_t size) {
  if (size != sizeof(RobustListHead)) return Errno::kINVAL;
  running_thread().robust_list = head;
  return 0u;
}

Result<uint32_t> sys_get_robust_list(uint32_t tid, UserPtr<uint32_t> head, UserPtr<uint32_t> size) {
  Ref<Process> process;
  uint32_t list = 0;
  {
    InterruptLockGuard guard(process_table_lock);
    Thread* thread = tid == 0 ? &running_thread() : pid_find_thread_locked(tid);
    if (!thread) return Errno::kSRCH;
    list = thread->robust_list;
    process = Ref<Process>(thread->process());
  }
  if (!proc_may_inspect(*process)) return Errno::kPERM;
  TRY(user_write(size, static_cast<uint32_t>(sizeof(RobustListHead))));
  TRY(user_write(head, list));
  return 0u;
}

}  // namespace faultline
