// A process: what programs share between their threads (memory, descriptors, names, signal actions, limits, identity), its place in
// the tree of processes, and its end. See fork(2), wait(2), credentials(7).
//
// Life: create → running → zombie (exit) → reaped (wait). Whoever holds a Ref may look at it in any of these.
#pragma once

#include <cstdint>

#include "arch/cpu.h"
#include "fs/credentials.h"
#include "fs/file.h"
#include "kernel/resource.h"
#include "kernel/signal.h"
#include "kernel/thread.h"
#include "kernel/clock_timer.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/mutex.h"
#include "lib/ref.h"
#include "lib/result.h"
#include "lib/string.h"
#include "lib/wait_queue.h"
#include "mm/space.h"

namespace faultline {

class DescriptorTable;
class NameContext;
class RingUser;

struct AllProcessesTag;
struct PosixTimersTag;
struct ProcessorTimersTag;
class PosixTimer;
struct ChildrenTag;

// The tree, ids, groups and sessions of all processes, and what wait(2) reports of them. Interrupts are off while it is held.
extern InterruptSpinLock<LockRank::kProcessTable> process_table_lock;

// What a process has used: its own, or the sum over children it has waited for.
struct ResourceUsage {
  uint64_t user_time = 0, kernel_time = 0;  // nanoseconds
  uint64_t processor_time() const { return user_time + kernel_time; }
  uint64_t minor_faults = 0, major_faults = 0;
  uint64_t voluntary_switches = 0, involuntary_switches = 0;
  uint32_t peak_resident_pages = 0;
  void add(const ResourceUsage& other);
};

// What all threads there ever were have done. Counted when a thread begins or ends, summed when asked.
struct MachineUsage {
  uint64_t threads_made = 0;
  uint64_t minor_faults = 0, major_faults = 0;
};
extern MachineUsage ended_usage GUARDED_BY(process_table_lock);  // faults: of threads that have ended
MachineUsage machine_usage();

// Where in the space the strings and areas of the program are, for /proc.
struct ProgramLayout {
  VirtAddr arguments_start, arguments_end, environment_start, environment_end;
  VirtAddr code_start, code_end, data_start, data_end, stack_start, break_start;
};

// personality(2): what can be read can be executed; and what a program that takes on another identity must not inherit.
inline constexpr uint32_t kReadImpliesExecute = 0x0400000, kPersonalityClearedForIdentity = 0x0740000;

// setitimer(2)'s timers of processor time.
struct ProcessorTimer {
  uint64_t end = 0;       // nanoseconds used when it goes off; 0: not set
  uint64_t interval = 0;  // nanoseconds; 0: once
};

enum class ProcessState : uint8_t { kRunning, kStopped, kZombie };

class Process : public RefCounted<Process>, public ListNode<AllProcessesTag>, public ListNode<ChildrenTag> {
 public:
  static void destroy(Process* process);

  // --- What the running process asks of itself; other processes' are behind the *_of functions below.
  AddressSpace& space() const { return *space_; }
  DescriptorTable& descriptors() const { return *descriptors_; }
  NameContext& names() const { return *names_; }
  SignalHandlers& handlers() const { return *handlers_; }
  const Credentials& credentials() const { return credentials_; }
  uint64_t limit(Resource which) const { return limits_[static_cast<size_t>(which)].current; }

  // --- Ids. The group and session change under process_table_lock; reading one's own needs no lock.
  uint32_t pid() const { return pid_; }
  uint32_t parent_pid() const { return parent_pid_.load(memory_order_relaxed); }
  uint32_t group() const { return group_; }
  uint32_t session() const { return session_; }
  bool leads_session() const { return session_ == pid_; }
  ProcessState state() const { return state_; }

  // --- Of any process, while the caller holds a Ref. Null once it has ended.
  Ref<AddressSpace> shared_space();
  Ref<DescriptorTable> shared_descriptors();
  Ref<NameContext> shared_names();
  Ref<File> executable();
  ResourceUsage usage();  // its own, all threads
  const char* name() const { return name_; }
  ProgramLayout layout() const { return layout_; }
  uint64_t start_time() const { return start_time_; }  // monotonic nanoseconds
  uint32_t thread_count() const { return thread_count_; }
  Thread* main_thread() const { return main_thread_; }  // only under process_table_lock, or of oneself

  // Walks all processes; holds process_table_lock, so `visit` must not sleep. Stops at false.
  static void for_each(bool (*visit)(Process&, void* context), void* context);
  static Ref<Process> find(uint32_t pid);  // zombies included; null if there is none
  // The process with the lowest id at or above `pid`, for walks that sleep between steps (/proc).
  static Ref<Process> next(uint32_t pid);
  static uint32_t count();

  // --- The state itself: for the files of kernel/ that make, change and end processes (fork, exec, exit, signal, ids).

  // Fixed at creation.
  uint32_t pid_ = 0;
  uint64_t start_time_ = 0;

  // Guarded by process_table_lock.
  Process* parent_ = nullptr;       // holds no reference: children are re-parented before a parent goes
  Atomic<uint32_t> parent_pid_{0};  // of parent_; read without the lock
  List<Process, ChildrenTag> children_;
  uint32_t group_ = 0, session_ = 0;
  ProcessState state_ = ProcessState::kRunning;
  uint32_t exit_status_ = 0;             // as wait(2) reports it
  Signal exit_signal_ = Signal::kChild;  // clone(2)'s
  uint32_t stop_report_ = 0;             // a status that waitpid(WUNTRACED, WCONTINUED) has not seen yet, or 0
  struct End {  // as somebody in need of memory finds it on its way out, in nanoseconds; 0: not yet
    uint64_t first_seen = 0, last_ran = 0, run_time = 0;
  } end_;
  bool has_executed_ = false;            // setpgid of a child: kACCES afterwards
  Thread* vfork_waiter_ = nullptr;       // the parent, until exec or exit
  List<Thread, ThreadGroupTag> threads_;
  uint32_t thread_count_ = 0;
  Thread* main_thread_ = nullptr;
  ResourceUsage ended_threads_, waited_children_;
  uint64_t time_limit_told_ = 0;                    // seconds of processor time at which SIGXCPU was last sent
  ProcessorTimer virtual_timer_, profiling_timer_;  // of the time in user mode, and of all time
  List<PosixTimer, ProcessorTimersTag> processor_timers_;
  Atomic<bool> has_processor_timers_{false};  // whether one may be set: read without the lock
  uint32_t peak_resident_pages_ = 0;          // of earlier programs and, at the end, of the last
  WaitQueue child_events_;                    // its children ended, stopped or continued

  // Guarded by lock_ for others; the process' own threads read them freely and replace them under it.
  SpinLock<LockRank::kProcess> lock_;
  Ref<AddressSpace> space_;
  Ref<DescriptorTable> descriptors_;
  Ref<NameContext> names_;
  Ref<File> executable_;
  ProgramLayout layout_;
  Credentials credentials_;
  LimitTable limits_ = initial_limits();
  char name_[Thread::kNameLimit] = {};

  // Guarded by signal_lock_.
  InterruptSpinLock<LockRank::kSignal> signal_lock_;
  Ref<SignalHandlers> handlers_;
  PendingSignals pending_;
  bool stopping_ = false;   // threads stop on their way to user mode
  bool ending_ = false;     // exit_group: threads end there
  uint32_t continues_ = 0;  // how often SIGCONT came: one that came while a stop was in the making wins
  uint32_t group_exit_status_ = 0;
  Thread* survivor_ = nullptr;  // execve by one of several threads: the others end

  // Timers are set and asked under timers_lock_.
  struct RealTimer final : ClockTimer {  // setitimer(ITIMER_REAL), alarm
    explicit RealTimer(Process& whose) : owner(whose) {}
    void expired(uint64_t) override;
    Process& owner;
  };
  Mutex<LockRank::kTimers> timers_lock_;
  RealTimer real_timer_{*this};
  List<PosixTimer, PosixTimersTag> posix_timers_;  // timer_create
  uint32_t posix_timer_count_ = 0, next_posix_timer_ = 0;

  Atomic<RingUser*> ring_user_{nullptr};  // a reference; written under lock_ (kernel/io_uring/ring_user.h)

  // The process' own.
  Signal parent_death_signal_ = Signal::kNone;
  bool dumpable_ = true, no_new_privileges_ = false;
  uint32_t personality_ = 0;

  // For the killer (kernel/out_of_memory.h): set by anybody, read by it.
  Atomic<int32_t> memory_adjustment_{0}, least_adjustment_{0};  // oom_score_adj, and what it may be lowered to without privilege
  Atomic<bool> eats_memory_{false};

 private:
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  Process();
  ~Process();
};

inline Process& current_process() { return running_thread().process(); }

// May the caller signal that process (kill(2))? kPERM.
Result<void> signal_permission(Process& target, Signal signal);

// Boot only: the tables of processes and futexes; before any thread but the idle ones.
void processes_initialize();
// Makes process 1, which runs the program at `path` with these arguments (split at blanks) and /dev/console as descriptors 0 to 2. The
// root must be mounted. Panics if there is no such program. Called from a kernel thread.
void process_start_first(StringView path, StringView arguments);

}  // namespace faultline
