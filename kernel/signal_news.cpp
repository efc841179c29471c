// Signals that are waited for instead of delivered: sigtimedwait(2), signalfd(2).
#include "kernel/process.h"
#include "kernel/signal_internal.h"
#include "lib/late.h"

namespace faultline {

namespace {

// Queues that outlast every process, shared by those whose numbers have the same remainder: who is woken for nothing looks and goes on. So a signalfd
// that has been registered with an epoll instance may outlive the process which did that.
constexpr uint32_t kQueues = 64;
struct News {
  WaitQueue queues[kQueues];
};
constinit Late<News> news;

}  // namespace

void signal_news_initialize() { news.construct(); }

WaitQueue& signal_news(const Process& process) { return news->queues[process.pid() % kQueues]; }

bool signal_take(SignalSet wanted, SignalInfo& info) {
  Thread& self = running_thread();
  InterruptLockGuard guard(self.process().signal_lock_);
  for (PendingSignals* pending : {&self.pending, &self.process().pending_})
    if (Signal signal = pending->first_of(wanted); signal != Signal::kNone) {
      pending->take(signal, info);
      return true;
    }
  return false;
}

SignalSet signals_waiting_for_caller() {
  Thread& self = running_thread();
  InterruptLockGuard guard(self.process().signal_lock_);
  return signals_waiting(self);
}

}  // namespace faultline
