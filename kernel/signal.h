// Signals: numbers, sets, siginfo, actions, and how to send one. See signal(7). Delivery is kernel/signal_delivery.cpp,
// the i386 frame layouts are kernel/signal_frame.cpp's.
#pragma once

#include <array>
#include <cstdint>

#include "arch/context.h"
#include "lib/list.h"
#include "lib/ref.h"
#include "lib/result.h"

namespace faultline {

class Process;
class Thread;
class WaitQueue;

enum class Signal : uint8_t {
  kNone = 0,
  kHangUp = 1,
  kInterrupt = 2,
  kQuit = 3,
  kIllegal = 4,
  kTrap = 5,
  kAbort = 6,
  kBus = 7,
  kFloat = 8,
  kKill = 9,
  kUser1 = 10,
  kSegmentation = 11,
  kUser2 = 12,
  kPipe = 13,
  kAlarm = 14,
  kTerminate = 15,
  kStackFault = 16,
  kChild = 17,
  kContinue = 18,
  kStop = 19,
  kTerminalStop = 20,
  kTerminalInput = 21,
  kTerminalOutput = 22,
  kUrgent = 23,
  kCpuLimit = 24,
  kFileLimit = 25,
  kVirtualAlarm = 26,
  kProfile = 27,
  kWindow = 28,
  kIo = 29,
  kPower = 30,
  kSystem = 31,
  kFirstRealTime = 32,
  kLast = 64,
};

// Bit n-1 stands for signal n, as sigset_t.
using SignalSet = uint64_t;
constexpr SignalSet signal_bit(Signal signal) { return 1ull << (static_cast<uint32_t>(signal) - 1); }
// As `set & signal_bit(signal)`, by one half of the set instead of both.
constexpr bool contains(const SignalSet& set, Signal signal) {
  uint32_t bit = static_cast<uint32_t>(signal) - 1;
  auto half = static_cast<uint32_t>(bit < 32 ? set : set >> 32);
  return half >> bit % 32 & 1;
}
constexpr bool is_valid_signal(uint32_t number) { return number >= 1 && number <= 64; }
inline constexpr SignalSet kUnblockable = signal_bit(Signal::kKill) | signal_bit(Signal::kStop);
inline constexpr SignalSet kStopSignals = signal_bit(Signal::kStop) | signal_bit(Signal::kTerminalStop) |
                                          signal_bit(Signal::kTerminalInput) | signal_bit(Signal::kTerminalOutput);

inline constexpr auto kSynchronousSignals =
    static_cast<uint32_t>(signal_bit(Signal::kSegmentation) | signal_bit(Signal::kBus) | signal_bit(Signal::kIllegal) |
                          signal_bit(Signal::kTrap) | signal_bit(Signal::kFloat) | signal_bit(Signal::kSystem));

// si_code values; positive ones come from the kernel.
inline constexpr int32_t kCodeUser = 0, kCodeKernel = 0x80, kCodeQueue = -1, kCodeTimer = -2, kCodeThreadKill = -6;
inline constexpr int32_t kCodeMapError = 1, kCodeAccessError = 2;     // SIGSEGV
inline constexpr int32_t kCodeBusAlignment = 1, kCodeBusAddress = 2;  // SIGBUS
inline constexpr int32_t kCodeDivide = 1, kCodeOverflow = 2, kCodeFloatDivide = 3, kCodeFloatOverflow = 4, kCodeFloatUnderflow = 5,
                         kCodeFloatInexact = 6, kCodeFloatInvalid = 7;                                             // SIGFPE
inline constexpr int32_t kCodeIllegalOpcode = 1;                                                                   // SIGILL
inline constexpr int32_t kCodeBreakpoint = 1, kCodeTrace = 2;                                                      // SIGTRAP
inline constexpr int32_t kCodeExited = 1, kCodeKilled = 2, kCodeDumped = 3, kCodeStopped = 5, kCodeContinued = 6;  // SIGCHLD

// siginfo_t of i386: 128 bytes, of which we keep the ones in use. The three words after the header mean, by kind:
// kill: pid, uid, value; fault: address; SIGCHLD: pid, uid, status, user and system time.
struct SignalInfo {
  int32_t number;
  int32_t error;
  int32_t code;
  uint32_t fields[5];
};
static_assert(sizeof(SignalInfo) == 32);
// As assignment, of which GCC makes a loop.
inline void copy_signal_info(SignalInfo& to, const SignalInfo& from) {
  to.number = from.number;
  to.error = from.error;
  to.code = from.code;
  __builtin_memcpy(to.fields, from.fields, sizeof to.fields);
}
inline constexpr uint32_t kUserSignalInfoSize = 128;

// What a program asked for with sigaction; the i386 rt_sigaction layout.
struct SignalAction {
  static constexpr uint32_t kDefault = 0, kIgnore = 1;  // handler values
  static constexpr uint32_t kNoChildStop = 1, kNoChildWait = 2, kSiginfo = 4, kRestorer = 0x04000000, kOnStack = 0x08000000,
                            kRestart = 0x10000000, kNoDefer = 0x40000000, kResetHand = 0x80000000;
  uint32_t handler;
  uint32_t flags;
  uint32_t restorer;
  SignalSet mask;
};
static_assert(sizeof(SignalAction) >= 20);

// The actions of a process; threads share one, clone(CLONE_SIGHAND) may too. Guarded by the process' signal lock.
class SignalHandlers : public RefCounted<SignalHandlers> {
 public:
  static Result<Ref<SignalHandlers>> create();
  static void destroy(SignalHandlers* handlers);
  Result<Ref<SignalHandlers>> clone() const;
  // execve: caught signals go back to default, ignored ones stay ignored.
  void reset_caught();
  SignalAction& action(Signal signal) { return actions_[static_cast<size_t>(signal) - 1]; }

 private:
  std::array<SignalAction, 64> actions_{};
};

// One queued occurrence with its information.
struct QueuedSignal : ListNode<> {
  enum class Home : uint8_t { kPool, kSpare, kSender };  // kSpare: of a PendingSignals; kSender: a RepeatedSignal
  SignalInfo info;
  Home home = Home::kPool;
  bool in_use = false;
  QueuedSignal* next_free = nullptr;
};

// A signal that its sender brings the entry for: it waits once at most, and tells how often it was sent until it was taken. Guarded by the
// signal lock of the process it goes to.
class PendingSignals;
struct RepeatedSignal : QueuedSignal {
  explicit RepeatedSignal(const SignalInfo& what) { info = what, home = Home::kSender; }
  void withdraw();

  PendingSignals* waits_in = nullptr;
  uint64_t times = 0;
  uint32_t last_overrun = 0;  // of the one last taken: how often beyond the first
};

// Makes sure that there are entries for the next few signals. Before sending from a thread; sleeps, nothing may be held.
void signal_entries_balance();
// Gives back what is kept beyond those.
void signal_entries_trim();

// Signals that wait to be taken: a set, and information for those that carry some. Standard signals count once. One queue
// entry is always at hand; a signal without an entry is reported as from the kernel.
class PendingSignals {
 public:
  PendingSignals() { spare_.home = QueuedSignal::Home::kSpare; }
  ~PendingSignals();
  SignalSet set() const { return set_; }
  // kAGAIN: a real-time signal with user information could not be queued.
  Result<void> add(const SignalInfo& info);
  void add(RepeatedSignal& signal);
  // The lowest signal of `wanted`, synchronous faults first; kNone.
  Signal first_of(SignalSet wanted) const {
    SignalSet candidates = set_ & wanted;
    auto low = static_cast<uint32_t>(candidates), high = static_cast<uint32_t>(candidates >> 32);
    if (low & kSynchronousSignals) low &= kSynchronousSignals;
    if (low) return static_cast<Signal>(__builtin_ctz(low) + 1);
    return high ? static_cast<Signal>(__builtin_ctz(high) + 33) : Signal::kNone;
  }
  // Takes that signal, which there must be.
  void take(Signal signal, SignalInfo& info);
  void discard(SignalSet which);

 private:
  QueuedSignal* allocate();
  friend struct RepeatedSignal;
  void remove(RepeatedSignal& signal);
  static void give_back(QueuedSignal* entry);
  void forget(SignalSet which) { set_ &= ~which, without_entry_ &= ~which; }
  SignalSet set_ = 0;
  SignalSet without_entry_ = 0;  // of the set, those sent when another's entry was there already, or none was to be had
  List<QueuedSignal> queue_;
  QueuedSignal spare_;
};

// The alternate stack of sigaltstack(2).
struct AlternateStack {
  static constexpr uint32_t kOnStack = 1, kDisable = 2, kMinimumSize = 2048;
  uint32_t base = 0;
  uint32_t flags = kDisable;
  uint32_t size = 0;
};

// Information for the common senders.
SignalInfo signal_info_from_caller(Signal signal, int32_t code);  // kill(2): the current process as sender
SignalInfo signal_info_from_kernel(Signal signal);
SignalInfo signal_info_of_fault(Signal signal, int32_t code, uint32_t address);

// Sends, from any context. The process may be a zombie (nothing happens). kAGAIN: the queue of real-time signals is full.
Result<void> signal_send(Process& process, const SignalInfo& info);
Result<void> signal_send_thread(Thread& thread, const SignalInfo& info);
// For faults of the running thread: blocked or ignored does not help, it dies then.
void signal_force(const SignalInfo& info);
// To every process of a group; false if there is none.
bool signal_send_group(uint32_t group, const SignalInfo& info);

// Does the running thread have a signal to act on (not blocked)? With kFatal only one that kills.
bool signal_is_pending();
bool fatal_signal_is_pending();
// Replaces the running thread's mask and looks again at what is pending.
void signal_set_mask(SignalSet mask);
// For pselect, ppoll, sigsuspend: `mask` now; the old mask comes back when the call returns to user mode, after a handler (if any)
// was set up with it; or at once, by the second.
void signal_set_temporary_mask(SignalSet mask);
void signal_end_temporary_mask();

// --- For those who wait for signals instead of having them delivered (signal_news.cpp).
// Woken whenever a signal begins to wait for a thread of the process, and sometimes for others.
WaitQueue& signal_news(const Process& process);
void signal_news_initialize();  // boot
// Takes one of `wanted` that waits for the running thread, or for any of its process.
bool signal_take(SignalSet wanted, SignalInfo& info);
SignalSet signals_waiting_for_caller();

// Called on the way to user mode: takes pending signals, runs defaults, builds handler frames, restarts system calls.
void signals_deliver(TrapFrame& frame);
// The most bytes of stack that a handler's frame takes, padding included: AT_MINSIGSTKSZ.
uint32_t signal_frame_limit();

}  // namespace faultline
