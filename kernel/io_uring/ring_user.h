// What a process has to do with rings: which of its requests wait, and who works for them in its memory. Made at its first call, given up when it ends or
// runs another program, which waits for both to be none.
//
// It has a reference to the process' descriptors, so that the table counts several users and lends files counted: workers use it as well. Therefore
// a call asks for the RingUser before it looks at a descriptor.
#pragma once

#include "kernel/process.h"

namespace faultline {

class Request;
struct UserRequestsTag;

class RingUser final : public RefCounted<RingUser> {
 public:
  // The running process'. kNOMEM.
  static Result<RingUser*> current() {
    RingUser* user = current_process().ring_user_.load(memory_order_acquire);
    return user ? Result<RingUser*>(user) : make_current();
  }
  // The running process, of which this is the last thread, ends or runs another program. Cancels what waits, and waits for what runs. Sleeps.
  static void end_current() {
    if (current_process().ring_user_.load(memory_order_acquire)) [[unlikely]]
      finish_current();
  }
  static void destroy(RingUser* user);

  Process& process() const { return process_; }
  bool is_ending() const { return is_ending_.load(memory_order_seq_cst); }
  void add(Request& request);
  void remove(Request& request);
  // A worker runs something for it. It holds a reference.
  void begin_work();
  void end_work();

 private:
  template <typename T, typename... Arguments>
  friend Result<T*> slab_new(Arguments&&...);
  template <typename T>
  friend void slab_delete(T*);
  RingUser(Process& process, Ref<DescriptorTable> descriptors);
  ~RingUser();
  static Result<RingUser*> make_current();
  static void finish_current();
  void cancel_all();
  bool is_quiet();

  Process& process_;
  Ref<DescriptorTable> descriptors_;
  Atomic<bool> is_ending_{false};
  SpinLock<LockRank::kRing> lock_;
  List<Request, UserRequestsTag> requests_ GUARDED_BY(lock_);  // that have waited
  uint32_t workers_ GUARDED_BY(lock_) = 0;
  WaitQueue quiet_;
};

}  // namespace faultline
