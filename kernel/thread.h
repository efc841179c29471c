// A thread: what the scheduler runs. It has a kernel stack, machine state, a signal mask and signals of its own; everything that
// threads of a program share belongs to its Process. Kernel threads have no process.
#pragma once

#include <array>
#include <cstdint>

#include "arch/context.h"
#include "arch/cpu.h"
#include "arch/mmu.h"
#include "kernel/fault_injection.h"
#include "kernel/messages/mailbox.h"
#include "kernel/priority_lending.h"
#include "kernel/reference_trace.h"
#include "kernel/signal.h"
#include "lib/atomic.h"
#include "lib/list.h"
#include "lib/ref.h"
#include "lib/result.h"
#include "lib/scheduling.h"
#include "lib/sleeping_locks.h"

namespace faultline {

class AddressSpace;
class DescriptorTable;
class FaultWatch;
class Process;

// Bits of Thread::work: what must happen before the thread runs user code again. Entry code only asks whether it is zero.
inline constexpr uint32_t kWorkSignal = 1u << 0;   // look for signals, or the process is ending or stopping
inline constexpr uint32_t kWorkRestart = 1u << 1;  // a system call returned one of the restart codes
inline constexpr uint32_t kWorkMask = 1u << 2;     // a temporary signal mask is in force
inline constexpr uint32_t kWorkMove = 1u << 3;     // it is on a CPU that it may not run on
inline constexpr uint32_t kWorkFrame = 1u << 4;    // the call has changed the frame: all of it must be loaded

// kNew: known to others (a signal may be on its way) but not yet handed to scheduler_start(): a wake leaves only its permit.
enum class ThreadState : uint8_t { kNew, kRunnable, kRunning, kSleeping, kDead };

// sched(7)'s, by number.
enum class SchedulingPolicy : uint8_t { kOther = 0, kFifo = 1, kRoundRobin = 2, kBatch = 3, kIdle = 5 };

struct RunQueueTag;
struct ThreadGroupTag;

// What entry code and the switch reach by fixed offsets.
struct ThreadHead {
  Atomic<uint32_t> work{0};   // offset 0
  void* stack_top = nullptr;  // offset 4: the kernel stack's, where the user's trap frame lives
  std::array<FrameNumber, kKernelStackPages> stack_frames;
};

// The watchdog's (debug builds): how often the thread had gone to sleep when it was last seen asleep, and how often it was seen so.
struct SleepWatch {
  uint32_t switches = 0, looks = 0;
};

class Thread : public ThreadHead, public ListNode<RunQueueTag>, public ListNode<ThreadGroupTag> {
 public:
  static constexpr uint32_t kNameLimit = 16;

  // A thread with a stack, not yet runnable; a kernel thread if `process` is null. `entry(argument)` runs with interrupts on, on
  // the stack below where a user's trap frame lives. kNOMEM.
  static Result<Thread*> create(Process* process, void (*entry)(void*), void* argument);
  // The context that boots, as a thread: it has its stack already.
  static Result<Thread*> create_boot();
  // For a thread that never ran.
  static void destroy(Thread* thread);

  TrapFrame& frame() { return *user_trap_frame(stack_top); }
  Process& process() const {
    DEBUG_ASSERT(process_ != nullptr);
    return *process_;
  }
  bool is_kernel_thread() const { return process_ == nullptr; }
  uint32_t id() const { return id_; }
  uint32_t identity() const { return identity_; }  // for messages (lib/abi/message.h)
  void set_id(uint32_t id, uint32_t identity) {
    id_ = id;
    identity_ = identity;
  }
  // For kernel threads, of themselves: works for a process, in its memory, until called with null. Signals do not see it; the process must not
  // end or run another program meanwhile.
  void work_for(Process* process);
  void add_work(uint32_t bits) { work.fetch_or(bits, memory_order_seq_cst); }
  void clear_work(uint32_t bits) { work.fetch_and(~bits, memory_order_relaxed); }

  // --- Machine state; the scheduler's while the thread does not run.
  Context context;
  FloatState float_state;
  TlsDescriptors tls;
  AddressSpace* space = nullptr;  // what to activate; the process (or the exec in progress) holds the reference

  // --- Scheduling: guarded by the lock of run queue `cpu`.
  Atomic<uint32_t> cpu{0};  // whose run queue it is, or was, on
  ThreadState state = ThreadState::kNew;
  SleepKind sleep_kind = SleepKind::kUninterruptible;
  Atomic<bool> permit{false};  // lib/scheduling.h
  SchedulingPolicy policy = SchedulingPolicy::kOther;
  int8_t nice = 0;
  uint8_t priority = 0;    // 1 to 99: real-time, before all fair threads (0). Its own or one that it was lent
  bool gives_way = false;  // real-time: goes behind those of equal priority when it stops running
  CpuMask allowed_cpus = ~0u;
  uint32_t time_factor = 1024;                // how fast its virtual time passes, in 1024ths (run_queue.h)
  uint32_t slice_used = 0;                    // nanoseconds, SCHED_RR
  uint64_t virtual_runtime = 0;               // cycles, scaled by weight
  uint64_t run_time = 0;                      // cycles on a CPU
  uint64_t user_ticks = 0, kernel_ticks = 0;  // samples that split run_time
  uint32_t voluntary_switches = 0, involuntary_switches = 0;

  // --- Priority inheritance: guarded by priority_loans_lock.
  uint8_t own_priority = 0;
  bool no_more_loans = false;                 // it is ending: no futex of its can be waited for
  List<PriorityLoan, PriorityLoanTag> loans;  // of those who wait for it
  PriorityLoan* loan = nullptr;               // its own, while it waits

  // --- Messages: guarded by message_lock.
  Mailbox mailbox;

  // --- Its own, or written only by itself.
  bool reset_on_fork = false;  // SCHED_RESET_ON_FORK
  // Of a thread beside the first: so the table counts several users, and lends its files counted.
  Ref<DescriptorTable> descriptors;
  uint32_t minor_faults = 0, major_faults = 0;
  Atomic<FaultWatch*> fault_watch{nullptr};  // who is told of its faults; changes under process_table_lock
  RecentPages recent_pages;                  // while its references are traced
  uint32_t clear_child_tid = 0;              // user address, CLONE_CHILD_CLEARTID
  uint32_t set_child_tid = 0;                // user address, CLONE_CHILD_SETTID: written at the first return to user mode
  uint32_t robust_list = 0;                  // user address of the list of futexes held, set_robust_list(2)
  uint64_t restart_deadline = 0;             // of a sleep that a stop interrupted and that is going to be called again; 0: none
  AlternateStack alternate_stack;
  FaultInjection injection;
  char name[kNameLimit] = {};
#if defined(FAULTLINE_DEBUG) && FAULTLINE_DEBUG
  SleepingLocks sleeping_locks;
  SleepWatch sleep_watch;
#endif

  // --- Signals: guarded by the process' signal lock; the mask is written only by the thread itself.
  SignalSet signal_mask = 0;  // never has one of kUnblockable
  SignalSet saved_mask = 0;   // with kWorkMask
  SignalSet waited_for = 0;   // sigtimedwait: wakes for these although they are blocked
  PendingSignals pending;

 private:
  friend struct ThreadCache;  // kernel/thread.cpp
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  Thread();
  ~Thread();

  Process* process_ = nullptr;  // holds a reference
  uint32_t id_ = 0, identity_ = 0;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
};

inline Thread& running_thread() { return *static_cast<Thread*>(machine::current_thread_pointer()); }

// Gives up stacks that ended threads left for reuse beyond a few. Not with preemption off.
inline constexpr uint32_t kKeptThreads = 4;
void thread_cache_trim(uint32_t keep = kKeptThreads);
// Frames in kept stacks: free memory, as good as.
uint32_t thread_cache_frames();

// A thread of the kernel's own, runnable at once. `name` must live for ever. It ends by returning. kNOMEM.
Result<Thread*> kernel_thread_create(const char* name, void (*entry)(void*), void* argument);

}  // namespace faultline
