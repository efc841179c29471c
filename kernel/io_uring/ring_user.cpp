// See ring_user.h.
#include "kernel/io_uring/ring_user.h"

#include "fs/descriptor_table.h"
#include "kernel/io_uring/request.h"
#include "mm/slab.h"

namespace faultline {

RingUser::RingUser(Process& process, Ref<DescriptorTable> descriptors) : process_(process), descriptors_(std::move(descriptors)) {}
RingUser::~RingUser() = default;

void RingUser::destroy(RingUser* user) { slab_delete(user); }

Result<RingUser*> RingUser::make_current() {
  Process& process = current_process();
  Ref<RingUser> made = Ref<RingUser>::adopt(TRY(slab_new<RingUser>(process, Ref<DescriptorTable>(process.descriptors()))));
  LockGuard guard(process.lock_);
  RingUser* other = process.ring_user_.load(memory_order_relaxed);  // another thread was faster
  if (other) return other;
  process.ring_user_.store(made.get(), memory_order_release);
  return made.leak();
}

void RingUser::add(Request& request) {
  LockGuard guard(lock_);
  requests_.push_back(request);
}

void RingUser::remove(Request& request) {
  {
    LockGuard guard(lock_);
    requests_.remove(request);
  }
  quiet_.wake_all();
}

void RingUser::begin_work() {
  LockGuard guard(lock_);
  workers_++;
}

void RingUser::end_work() {
  {
    LockGuard guard(lock_);
    workers_--;
  }
  quiet_.wake_all();
}

bool RingUser::is_quiet() {
  LockGuard guard(lock_);
  return requests_.is_empty() && workers_ == 0;
}

void RingUser::cancel_all() {
  is_ending_.store(true, memory_order_seq_cst);
  List<Request, RingReadyTag> taken;
  {
    LockGuard guard(lock_);
    for (Request& request : requests_)
      if (request.try_take()) taken.push_back(request);
  }
  while (Request* request = taken.pop_front()) request->run(Request::Patience::kNone);
}

void RingUser::finish_current() {
  Process& process = current_process();
  Ref<RingUser> user = Ref<RingUser>::adopt(process.ring_user_.load(memory_order_relaxed));
  user->cancel_all();
  ignore_result(wait_until(user->quiet_, [&] { return user->is_quiet(); }));  // uninterruptible: cannot fail
  user->descriptors_ = nullptr;                                               // others may keep the user itself for a moment
  LockGuard guard(process.lock_);
  process.ring_user_.store(nullptr, memory_order_release);
}

}  // namespace faultline
