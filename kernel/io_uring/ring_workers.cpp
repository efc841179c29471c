// See ring_workers.h.
#include "kernel/io_uring/ring_workers.h"

#include "lib/late.h"

namespace faultline {

namespace {

constexpr uint32_t kMostWorkers = RingWorkers::kMostPatient + 1;
using Patience = Request::Patience;
using Queue = List<Request, RingReadyTag>;

constinit InterruptSpinLock<LockRank::kRingReady> workers_lock;
constinit Late<Queue> quick_requests GUARDED_BY(workers_lock), patient_requests GUARDED_BY(workers_lock);
constinit uint32_t rings GUARDED_BY(workers_lock) = 0, workers GUARDED_BY(workers_lock) = 0, idle_workers GUARDED_BY(workers_lock) = 0,
                         patient_workers GUARDED_BY(workers_lock) = 0;
constinit Late<WaitQueue> work_to_do;

void work(void*);

// One more, if that is allowed. kNOMEM.
Result<void> add_worker() {
  {
    InterruptLockGuard guard(workers_lock);
    if (workers == kMostWorkers) return {};
    workers++;
  }
  Result<Thread*> made = kernel_thread_create("ring", work, nullptr);
  if (made.ok()) return {};
  InterruptLockGuard guard(workers_lock);
  workers--;
  return made.error();
}

bool has_work_locked() REQUIRES(workers_lock) {
  return !quick_requests->is_empty() || (!patient_requests->is_empty() && patient_workers < RingWorkers::kMostPatient);
}

struct Job {
  Request* request = nullptr;
  Patience patience = Patience::kNone;
};

Job take_locked() REQUIRES(workers_lock) {
  if (Request* quick = quick_requests->pop_front()) return {quick, Patience::kNone};
  patient_workers++;
  return {patient_requests->pop_front(), Patience::kDisk};
}

// Nothing: there are no rings any more, and the caller does not count as a worker.
Job next_job() {
  {
    InterruptLockGuard guard(workers_lock);
    idle_workers++;
  }
  Job job;
  auto take = [&job] {
    InterruptLockGuard guard(workers_lock);
    if (has_work_locked())
      job = take_locked();
    else if (rings != 0)
      return false;
    else
      workers--;
    idle_workers--;
    return true;
  };
  ignore_result(wait_until(*work_to_do, take, SleepKind::kUninterruptible, Deadline::never(), true));  // cannot fail
  return job;
}

// What this worker leaves undone is somebody else's. Before it sleeps for a disk there must be another, if that can be had: otherwise the rest waits
// for that disk as well.
void provide_for_others(Patience patience) {
  bool has_more, has_idle;
  {
    InterruptLockGuard guard(workers_lock);
    has_more = has_work_locked();
    has_idle = idle_workers != 0;
  }
  if (has_more) work_to_do->wake();
  if (!has_idle && (has_more || patience == Patience::kDisk)) ignore_result(add_worker());
}

void do_job(const Job& job) {
  Ref<RingUser> user(job.request->user());
  user->begin_work();
  job.request->begin_running();
  running_thread().work_for(&user->process());
  job.request->run(job.patience);
  running_thread().work_for(nullptr);
  user->end_work();
}

void work(void*) {
  for (Job job; (job = next_job()).request;) {
    provide_for_others(job.patience);
    do_job(job);
    if (job.patience == Patience::kNone) continue;
    InterruptLockGuard guard(workers_lock);
    patient_workers--;
  }
}

}  // namespace

void RingWorkers::initialize() {
  InterruptLockGuard guard(workers_lock);
  quick_requests.construct();
  patient_requests.construct();
  work_to_do.construct();
}

Result<void> RingWorkers::ring_begins() {
  bool is_first;
  {
    InterruptLockGuard guard(workers_lock);
    rings++;
    is_first = workers == 0;
  }
  Result<void> added = is_first ? add_worker() : Result<void>();
  if (!added.ok()) ring_ends();
  return added;
}

void RingWorkers::ring_ends() {
  {
    InterruptLockGuard guard(workers_lock);
    if (--rings != 0) return;
  }
  work_to_do->wake_all();
}

void RingWorkers::give(Request& request, Patience patience) {
  {
    InterruptLockGuard guard(workers_lock);
    (patience == Patience::kNone ? quick_requests : patient_requests)->push_back(request);
  }
  work_to_do->wake();
}

}  // namespace faultline
